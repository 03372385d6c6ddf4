/** The messages, enums and schemas of the contract, one namespace an area: `order.Order_State.PENDING`. */

export * as auth from "./auth.js";
export * as catalog from "./generated/stockward/catalog/v1/catalog_pb.js";
export * as event from "./generated/stockward/event/v1/event_pb.js";
export * as inventory from "./generated/stockward/inventory/v1/inventory_pb.js";
export * as order from "./generated/stockward/order/v1/order_pb.js";
export * as status from "./generated/stockward/status/v1/status_pb.js";
export * as webhook from "./generated/stockward/webhook/v1/webhook_pb.js";
export type { Money } from "./generated/google/type/money_pb.js";
