/** Watches that go on, over gRPC. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Code, watch } from "@stockward/client";
import type { StockwardError } from "@stockward/client";
import { readRun, receive, sell, shop, staff, until } from "./shop.js";

after(() => {
  shop.close();
  staff.close();
});

test("staff are told every change of a stock row once and in order, though the server is killed in between", async () => {
  const { sku } = await sell(1);
  const versions: bigint[] = [];
  const end = new AbortController();
  const watching = (async () => {
    for await (const { stockLevels } of watch(staff.inventory.watchStock, { skus: [sku] }, { signal: end.signal })) {
      versions.push(...stockLevels.map((each) => each.version));
    }
  })();
  await until(() => versions.length === 1);
  for (let each = 0; each < 5; each++) await receive(sku, 1);
  process.kill(readRun().pids.server, "SIGKILL");
  for (let each = 0; each < 5; each++) await receive(sku, 1);
  await until(() => versions.length === 11);
  end.abort();
  await watching;
  const [first = 0n] = versions;
  assert.deepEqual(versions, Array.from({ length: 11 }, (_, each) => first + BigInt(each)));
});

test("a storefront is told what is left; leaving the loop closes the stream", async () => {
  const { sku } = await sell(5);
  const seen: bigint[] = [];
  for await (const { availabilities } of watch(shop.inventory.watchAvailability, { skus: [sku] })) {
    for (const { available } of availabilities) {
      seen.push(available);
      if (available === 5n) void shop.orders.createOrder({ lines: [{ sku, quantity: 2n }] });
    }
    if (seen.at(-1) === 3n) break;
  }
  assert.deepEqual(seen, [5n, 3n]);
});

test("a stream that has gone silent is opened again after its cursor", async () => {
  const { sku } = await sell(5);
  let streams = 0;
  const open: typeof shop.inventory.watchAvailability = (request, options) => {
    streams++;
    return shop.inventory.watchAvailability(request, options);
  };
  const end = new AbortController();
  const seen: bigint[] = [];
  const watching = (async () => {
    for await (const { availabilities } of watch(open, { skus: [sku] }, { silenceMs: 300, signal: end.signal })) {
      seen.push(...availabilities.map((each) => each.available));
    }
  })();
  await until(() => streams === 3);
  await receive(sku, 1);
  await until(() => seen.length === 2);
  end.abort();
  await watching;
  assert.deepEqual(seen, [5n, 6n]);
});

test("what asking again cannot mend is thrown", async () => {
  const stream = watch(shop.inventory.watchAvailability, { skus: [] });
  await assert.rejects(stream.next(), (error: StockwardError) => error.code === Code.InvalidArgument);
});

test("a cursor behind events that the shop has lost brings the present state", async () => {
  const { sku } = await sell(5);
  const ahead = "9f8zhs00y7DVcOLgWzQ2MTE2ODYwMTg0MjczODc5MDRd"; // of a record with 2^62 events
  const seen: bigint[] = [];
  const reasons: string[] = [];
  const onRestart = (error: StockwardError): void => void reasons.push(error.reason);
  const request = { skus: [sku], cursor: ahead };
  for await (const { availabilities } of watch(shop.inventory.watchAvailability, request, { onRestart })) {
    seen.push(...availabilities.map((each) => each.available));
    if (seen.length) break;
  }
  assert.deepEqual([seen, reasons], [[5n], ["CURSOR_LOST"]]);
  await assert.rejects(shop.events.listEvents({ cursor: ahead }), (error: StockwardError) => error.reason === "CURSOR_LOST");
});
