/** What the client does between attempts, against servers in this process that answer as the test asks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import type { ConnectRouter } from "@connectrpc/connect";
import { inventory, watch } from "@stockward/client";
import { RetryInfoSchema } from "../src/generated/google/rpc/error_details_pb.js";
import { dependable } from "../src/transport.js";

const TOKEN = "stockward-consistency-token";

function clientOf(routes: (router: ConnectRouter) => void) {
  return createClient(inventory.InventoryService, dependable(createRouterTransport(routes), "key", 10_000));
}

test("the next attempt waits for as long as the server asks", async () => {
  const times: number[] = [];
  const client = clientOf(({ rpc }) => {
    rpc(inventory.InventoryService.method.getAvailability, () => {
      if (times.push(Date.now()) > 1) return { available: 7n };
      const retryDelay = { seconds: 0n, nanos: 400_000_000 };
      throw new ConnectError("later", Code.Unavailable, undefined, [{ desc: RetryInfoSchema, value: { retryDelay } }]);
    });
  });
  assert.equal((await client.getAvailability({ sku: "MUG" })).available, 7n);
  const [first = 0, second = 0] = times;
  assert.ok(second - first >= 390, `${second - first} ms`);
});

test("the largest consistency token is sent with later calls, also that of an upload", async () => {
  const sent: (string | null)[] = [];
  const given = ["2", "1", "3"];
  const client = clientOf(({ rpc }) => {
    rpc(inventory.InventoryService.method.adjustStock, (_, context) => {
      sent.push(context.requestHeader.get(TOKEN));
      context.responseTrailer.set(TOKEN, given.shift() ?? "");
      return {};
    });
    rpc(inventory.InventoryService.method.syncStock, async function* (requests, context) {
      for await (const _ of requests) yield {};
      context.responseTrailer.set(TOKEN, "4");
    });
    rpc(inventory.InventoryService.method.listStockLevels, (_, context) => {
      sent.push(context.requestHeader.get(TOKEN));
      return {};
    });
  });
  async function* upload() {
    yield { rows: [] };
  }
  for (let call = 0; call < 3; call++) await client.adjustStock({ sku: "MUG" });
  await client.listStockLevels({});
  for await (const _ of client.syncStock(upload()));
  await client.listStockLevels({});
  assert.deepEqual(sent, [null, "2", "2", "3", "4"]);
});

test("every message of an upload has a request_id of its own", async () => {
  const requestIds: string[] = [];
  const client = clientOf(({ rpc }) => {
    rpc(inventory.InventoryService.method.syncStock, async function* (requests) {
      for await (const each of requests) {
        requestIds.push(each.requestId);
        yield {};
      }
    });
  });
  async function* upload() {
    yield { rows: [] };
    yield { rows: [], requestId: "mine" };
    yield { rows: [] };
  }
  let answers = 0;
  for await (const _ of client.syncStock(upload())) answers++;
  assert.equal(answers, 3);
  assert.equal(new Set(requestIds.filter(Boolean)).size, 3);
  assert.equal(requestIds[1], "mine");
});

test("a watch that finds no place, or is too slow, is opened again after its cursor", async () => {
  const cursors: (string | undefined)[] = [];
  async function* open({ cursor }: { cursor?: string }) {
    if (cursors.push(cursor) === 2) throw new ConnectError("too many watches", Code.ResourceExhausted);
    yield { cursor: `after ${cursors.length}` };
    if (cursors.length === 1) throw new ConnectError("read too slowly", Code.Aborted);
  }
  const heard: string[] = [];
  for await (const { cursor } of watch(open, {})) {
    heard.push(cursor);
    if (heard.length === 2) break;
  }
  assert.deepEqual(heard, ["after 1", "after 3"]);
  assert.deepEqual(cursors, ["", "after 1", "after 1"]);
});
