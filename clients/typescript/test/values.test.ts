/** Values from and to what people read. No server is asked. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { eur, event, formatMoney, inventory, money, named, nameOf, order, toDecimal, toJson } from "@stockward/client";

test("amounts are exact both ways", () => {
  assert.deepEqual(eur("12.50"), { currencyCode: "EUR", units: 12n, nanos: 500_000_000 });
  assert.deepEqual(eur("-0.05"), { currencyCode: "EUR", units: 0n, nanos: -50_000_000 });
  for (const decimal of ["12.50", "0.00", "-0.05", "0.125", "999999999999999999.99"]) {
    assert.equal(toDecimal(money(decimal, "USD")), decimal);
  }
  assert.equal(toDecimal(eur("7")), "7.00");
  for (const wrong of ["", "12,50", "1.0000000001", "1e3", "NaN"]) assert.throws(() => eur(wrong), TypeError);
});

test("amounts as people of a place write them", () => {
  assert.equal(formatMoney(eur("1234.5"), "en"), "€1,234.50");
  assert.equal(formatMoney(eur("12.50"), "de").replace(/\u00a0/g, " "), "12,50 €");
  assert.equal(formatMoney(money("1200", "JPY"), "en"), "¥1,200");
  assert.equal(formatMoney(eur("999999999999999.99"), "en"), "€999,999,999,999,999.99");
});

test("enums by their short names", () => {
  assert.equal(named(inventory.AdjustmentReason, "received"), inventory.AdjustmentReason.RECEIVED);
  // @ts-expect-error: the compiler knows the names
  assert.throws(() => named(inventory.AdjustmentReason, "recieved"), TypeError);
  // @ts-expect-error: this is no value of a request
  assert.throws(() => named(order.Order_State, "unspecified"), TypeError);
  assert.equal(nameOf(order.Order_StateSchema, order.Order_State.PARTIALLY_FULFILLED), "partially_fulfilled");
  assert.equal(nameOf(order.Order_StateSchema, order.Order_State.UNSPECIFIED), "");
});

test("JSON of a message has no bigint", () => {
  const placed = create(order.OrderSchema, { lines: [{ quantity: 2n }], totals: { net: eur("5") }, version: 3n });
  assert.throws(() => JSON.stringify(placed), TypeError);
  const json = JSON.parse(JSON.stringify(toJson(placed)));
  assert.equal(json.version, "3");
  assert.deepEqual(json.totals.net, { currencyCode: "EUR", units: "5", nanos: 0 });
  assert.deepEqual(JSON.parse(JSON.stringify(toJson(create(event.EventSchema, { aggregateVersion: 7n })))).aggregateVersion, "7");
});
