/** What is exported beside `Stockward`, in Node.js and in browsers. */

export * from "./contract.js";
export { Code, StockwardError } from "./errors.js";
export type { FieldViolation } from "./errors.js";
export { pages, rows } from "./pages.js";
export type { Options } from "./client.js";
export type { Key } from "./transport.js";
export { eur, formatMoney, money, named, nameOf, toDecimal, toJson } from "./values.js";
export type { Amount, NameOf } from "./values.js";
export { watch } from "./watch.js";
export type { WatchOptions } from "./watch.js";
