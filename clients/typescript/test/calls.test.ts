/** Calls: answers, errors, lists, request_ids, deadlines, and a server that is killed meanwhile. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, order, pages, rows, Stockward } from "@stockward/client";
import { numbered } from "../src/request_id.js";
import { Proxy } from "./proxy.js";
import { newSku, ordersOf, readRun, refused, run, sell, shop, staff, until } from "./shop.js";

after(() => {
  shop.close();
  staff.close();
});

test("the public names are these", async () => {
  const names = ["Code", "Stockward", "StockwardError", "auth", "catalog", "eur", "event", "formatMoney", "inventory", "money"];
  names.push("nameOf", "named", "order", "pages", "rows", "status", "toDecimal", "toJson", "watch", "webhook");
  assert.deepEqual(Object.keys(await import("@stockward/client")).sort(), names);
});

test("an order, from the product to the parcel", async () => {
  const { sku } = await sell(10);
  const placed = await shop.orders.createOrder({ lines: [{ sku, quantity: 2n }] });
  assert.equal(placed.state, order.Order_State.PENDING);
  assert.equal(placed.totals?.total?.units, 25n);
  const { orderId, totals } = placed;
  const kind = order.RecordPaymentRequest_Kind.CAPTURED;
  await staff.orders.recordPayment({ orderId, provider: "bank", providerEventId: orderId, kind, amount: totals!.total! });
  await staff.orders.processOrder({ orderId });
  const sent = await staff.orders.fulfillOrder({ orderId });
  assert.equal(sent.state, order.Order_State.FULFILLED);
  assert.equal((await shop.inventory.getAvailability({ sku })).available, 8n);
});

test("a refusal has its reason, what it speaks of, and the fields at fault", async () => {
  const { sku } = await sell(3);
  const short = await refused(shop.orders.createOrder({ lines: [{ sku, quantity: 5n }] }));
  assert.equal(short.code, Code.FailedPrecondition);
  assert.equal(short.reason, "INSUFFICIENT_STOCK");
  assert.equal(short.metadata.available, "3");
  assert.match(short.requestId, /^[0-9a-f-]{36}$/);
  assert.equal(short.message, `${sku}: 5 wanted, 3 available`);

  const wrong = await refused(shop.orders.createOrder({ lines: [{ sku, quantity: 0n }] }));
  assert.equal(wrong.code, Code.InvalidArgument);
  assert.deepEqual(wrong.fieldViolations.map((each) => each.field), ["lines[0].quantity"]);

  const stranger = new Stockward(run.grpc, "swk_nobody");
  assert.equal((await refused(stranger.orders.createOrder({}))).code, Code.Unauthenticated);
  stranger.close();
  assert.equal((await refused(shop.orders.listOrders({}))).code, Code.PermissionDenied);
});

test("the same request_id orders once; a request object may be sent again, and orders again", async () => {
  const { sku } = await sell(10);
  const request = create(order.CreateOrderRequestSchema, { lines: [{ sku, quantity: 1n }] });
  const first = await shop.orders.createOrder(request);
  const second = await shop.orders.createOrder(request);
  assert.notEqual(first.orderId, second.orderId);
  assert.equal(request.requestId, "");

  const requestId = crypto.randomUUID();
  const answers = await Promise.all([1, 2, 3].map(() => shop.orders.createOrder({ ...request, requestId })));
  assert.equal(new Set(answers.map((each) => each.orderId)).size, 1);
});

test("every request of a batch gets a request_id, and so does every message of a stream", async () => {
  const { sku } = await sell(10);
  const one = { lines: [{ sku, quantity: 1n }] };
  const { results } = await shop.orders.batchCreateOrders({ requests: [one, one] });
  assert.deepEqual(results.map((each) => each.outcome.case), ["order", "order"]);
  const { requests } = numbered(order.BatchCreateOrdersRequestSchema, { requests: [one, one] });
  assert.equal(new Set(requests.map((each) => each.requestId).filter(Boolean)).size, 2);

  async function* upload() {
    yield { rows: [{ sku, change: { case: "onHand" as const, value: 50n } }], requestId: "" };
    yield { rows: [{ sku: newSku(), change: { case: "onHand" as const, value: 1n } }], requestId: "" };
  }
  const answers = [];
  for await (const answer of staff.inventory.syncStock(upload())) answers.push(answer);
  assert.equal(answers[0]?.results[0]?.onHand, 50n);
  assert.equal(answers.length, 2);
});

test("lists go on page by page, and so does the record of events", async () => {
  const { sku } = await sell(20);
  for (let each = 0; each < 5; each++) await shop.orders.createOrder({ lines: [{ sku, quantity: 1n }] });
  const sizes = [];
  for await (const page of pages(staff.orders.listOrders, { sku, pageSize: 2 })) sizes.push(page.orders.length);
  assert.deepEqual(sizes, [2, 2, 1]);
  assert.equal(new Set(await ordersOf(sku)).size, 5);
  const types: string[] = [];
  for await (const event of rows(shop.events.listEvents, { aggregateId: `${sku}@main`, pageSize: 2 })) types.push(event.type);
  assert.equal(types.filter((type) => type === "stock.changed").length, 6);
});

test("a call ends at its deadline, and when it is told to", async () => {
  const nobody = new Stockward("127.0.0.1:9", "key", { timeoutMs: 300 });
  const start = Date.now();
  const late = await refused(nobody.catalog.listAvailableProducts({}));
  assert.equal(late.code, Code.Unavailable);
  assert.ok(Date.now() - start < 1000);
  const stopped = nobody.catalog.listAvailableProducts({}, { signal: AbortSignal.timeout(50), timeoutMs: 0 });
  assert.ok([Code.Canceled, Code.DeadlineExceeded].includes((await refused(stopped)).code));
  nobody.close();
});

test("an order whose answer was lost is asked for again, and is not made twice", async () => {
  const { sku } = await sell(10);
  const proxy = new Proxy(run.grpc);
  const buyer = new Stockward(await proxy.open(), run.keys.storefront);
  await buyer.inventory.getAvailability({ sku });
  proxy.loses = true;
  const placing = buyer.orders.createOrder({ lines: [{ sku, quantity: 1n }] });
  await until(async () => (await ordersOf(sku)).length === 1);
  proxy.loses = false;
  proxy.cut();
  const { orderId } = await placing;
  assert.deepEqual(await ordersOf(sku), [orderId]);
  buyer.close();
  proxy.close();
});

test("orders that are under way when the server is killed are made once each", async () => {
  const { sku } = await sell(1000);
  const { server } = readRun().pids;
  let answered = 0;
  const buyers = Array.from({ length: 10 }, async () => {
    for (let each = 0; each < 10; each++) {
      await shop.orders.createOrder({ lines: [{ sku, quantity: 1n }] });
      answered++;
    }
  });
  await until(() => answered > 20);
  process.kill(server, "SIGKILL");
  await Promise.all(buyers);
  assert.equal(answered, 100);
  assert.equal((await ordersOf(sku)).length, 100);
  assert.equal((await shop.inventory.getAvailability({ sku })).available, 900n);
});
