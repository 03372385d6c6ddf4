/** Values of the contract from and to what people read: amounts, names of enums, JSON. */

import { createRegistry, toJson as messageToJson } from "@bufbuild/protobuf";
import type { DescEnum, JsonValue, Message } from "@bufbuild/protobuf";
import { file_google_protobuf_any, file_google_protobuf_timestamp } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "./generated/google/rpc/error_details_pb.js";
import { file_google_type_money } from "./generated/google/type/money_pb.js";
import type { Money } from "./generated/google/type/money_pb.js";
import { file_stockward_auth_v1_key } from "./generated/stockward/auth/v1/key_pb.js";
import { file_stockward_catalog_v1_catalog } from "./generated/stockward/catalog/v1/catalog_pb.js";
import { file_stockward_event_v1_event } from "./generated/stockward/event/v1/event_pb.js";
import { file_stockward_inventory_v1_inventory } from "./generated/stockward/inventory/v1/inventory_pb.js";
import { file_stockward_order_v1_order } from "./generated/stockward/order/v1/order_pb.js";
import { file_stockward_webhook_v1_webhook } from "./generated/stockward/webhook/v1/webhook_pb.js";

const registry = createRegistry(
  file_google_protobuf_any,
  file_google_protobuf_timestamp,
  file_google_rpc_error_details,
  file_google_type_money,
  file_stockward_auth_v1_key,
  file_stockward_catalog_v1_catalog,
  file_stockward_event_v1_event,
  file_stockward_inventory_v1_inventory,
  file_stockward_order_v1_order,
  file_stockward_webhook_v1_webhook,
);

/** An amount as requests take it. */
export interface Amount {
  currencyCode: string;
  units: bigint;
  nanos: number;
}

type MoneyLike = Pick<Money, "currencyCode" | "units" | "nanos">;

const DECIMAL = /^(-?)(\d{1,18})(?:\.(\d{1,9}))?$/;

/** An exact amount: `money("12.50", "EUR")`. Throws a TypeError for a text that is no decimal of up to nine places. */
export function money(decimal: string, currencyCode: string): Amount {
  const found = DECIMAL.exec(decimal);
  if (!found) throw new TypeError(`"${decimal}" is not a decimal such as 12.50`);
  const [, minus, units = "", places = ""] = found;
  const sign = minus ? -1 : 1;
  return { currencyCode, units: BigInt(sign) * BigInt(units), nanos: sign * Number(places.padEnd(9, "0")) + 0 };
}

/** An amount in euro: `eur("12.50")`. */
export function eur(decimal: string): Amount {
  return money(decimal, "EUR");
}

/** The amount without its currency, as a text, which is exact: `12.50`, with two decimals or the more it needs. */
export function toDecimal({ units, nanos }: MoneyLike): string {
  const minus = units < 0n || nanos < 0 ? "-" : "";
  const places = String(Math.abs(nanos)).padStart(9, "0").replace(/0{1,7}$/, "");
  return `${minus}${units < 0n ? -units : units}.${places}`;
}

/** The amount as people of a place write it: `€12.50`, `12,50 €`. `locale`: that of the machine by default. */
export function formatMoney(amount: MoneyLike, locale?: string): string {
  const format = new Intl.NumberFormat(locale, { style: "currency", currency: amount.currencyCode });
  return format.format(toDecimal(amount) as unknown as number); // a text stays exact beyond 2^53
}

/** proto3 JSON of any message of the contract, which `JSON.stringify` takes: numbers of 64 bits are texts in it. */
export function toJson(message: Message): JsonValue {
  const schema = registry.getMessage(message.$typeName);
  if (!schema) throw new TypeError(`${message.$typeName} is no message of the contract`);
  return messageToJson(schema, message, { registry, alwaysEmitImplicit: true });
}

/** The short names of an enum, such as `received`. */
export type NameOf<E> = Lowercase<Exclude<keyof E & string, "UNSPECIFIED">>;

/** The value with this short name: `named(inventory.AdjustmentReason, "received")`; the compiler knows the names. */
export function named<E extends object>(values: E, name: NameOf<E>): E[keyof E] {
  const value = (values as Record<string, unknown>)[name.toUpperCase()];
  if (typeof value !== "number" || value === 0) throw new TypeError(`"${name}" is no value of this enum`);
  return value as E[keyof E];
}

/** The short name of a value, for people: `nameOf(order.Order_StateSchema, state)` is `pending`; empty for an unknown one. */
export function nameOf(schema: DescEnum, value: number): string {
  return value ? (schema.value[value]?.localName.toLowerCase() ?? "") : "";
}
