/** Keys, sessions and what they are for, which the contract has in three files. */

export * from "./generated/stockward/auth/v1/auth_pb.js";
export * from "./generated/stockward/auth/v1/key_pb.js";
export * from "./generated/stockward/auth/v1/session_pb.js";
