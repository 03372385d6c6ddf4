/** Keys and what they are for, which the contract has in two files. */

export * from "./generated/stockward/auth/v1/auth_pb.js";
export * from "./generated/stockward/auth/v1/key_pb.js";
