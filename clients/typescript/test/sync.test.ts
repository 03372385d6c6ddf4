/** The example of a storefront's synchronisation, notified by the real gateway. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import type { IncomingHttpHeaders, Server } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { rows } from "@stockward/client";
import { StorefrontSync } from "../examples/storefront-sync/sync.js";
import { portOf, receiver, run, sell, shop, staff, stop, tell, until } from "./shop.js";

const file = join(mkdtempSync("sync-"), "storefront.json");
const newSync = (from: ConstructorParameters<typeof StorefrontSync>[0] = shop, at = file) =>
  new StorefrontSync(from, secret, at);

/** What came in, to be sent again. */
const hooks: { body: string; headers: IncomingHttpHeaders; id: string }[] = [];
let server: Server = await open();
const port = portOf(server);
const { endpointId, secret } = await tell(server, ["product.*"]);
let sync = newSync();

before(async () => {
  await sell(0);
  const { product: hidden } = await sell(0);
  await staff.catalog.unpublishProduct({ productId: hidden.productId });
  await staff.catalog.createProduct({ product: { title: "A draft" } });
  await sync.catchUp();
});

after(() => {
  server.close();
  shop.close();
  staff.close();
});

/** Takes webhooks for `sync`, and notes them. */
function open(port?: number): Promise<Server> {
  return receiver((bytes, headers) => {
    const body = bytes.toString();
    const status = sync.hear(body, headers);
    hooks.push({ body, headers, id: String(headers["webhook-id"]) });
    return status;
  }, port);
}

const seenBy = (each: StorefrontSync) => each.visible.map(({ productId, title }) => `${productId} ${title}`).sort();

/** What Stockward itself says to be visible. */
async function truth(): Promise<string[]> {
  const found: string[] = [];
  for await (const { productId, title } of rows(shop.catalog.listAvailableProducts, {})) found.push(`${productId} ${title}`);
  return found.sort();
}

const isRight = async (each: StorefrontSync) => JSON.stringify(seenBy(each)) === JSON.stringify(await truth());

/** A week in a shop: one product comes, one changes its name, one goes, and one goes and comes back: its id. */
async function change(): Promise<string> {
  const [fresh, renamed, gone, back] = await Promise.all([1, 2, 3, 4].map(async () => (await sell(0)).product));
  const title = `New name of ${renamed!.title}`;
  await staff.catalog.updateProduct({ product: { ...renamed!, title }, updateMask: { paths: ["title"] } });
  await staff.catalog.unpublishProduct({ productId: gone!.productId });
  await staff.catalog.unpublishProduct({ productId: back!.productId });
  await staff.catalog.publishProduct({ productId: back!.productId });
  assert.ok((await truth()).some((each) => each.includes(fresh!.productId)));
  return back!.productId;
}

const publications = (productId: string) =>
  hooks.filter(({ body }) => body.startsWith('{"type":"product.published"') && body.includes(productId)).length;

test("the first catch-up shows what is published", async () => {
  assert.deepEqual(seenBy(sync), await truth());
  assert.ok(sync.visible.length > 0);
});

test("webhooks keep it right, and are stored before they are answered", async () => {
  const back = await change();
  await until(() => publications(back) >= 2); // what has not learned that it went sees it, too, and is right too early
  await until(() => isRight(sync));
  assert.deepEqual(seenBy(newSync()), seenBy(sync));
});

test("webhooks that come again, late and in the wrong order change nothing, also for who began after them", async () => {
  const products = hooks.filter(({ body }) => body.startsWith('{"type":"product.'));
  assert.ok(products.length >= 10);
  const late = newSync(shop, `${file}.late`);
  await late.catchUp();
  for (const { body, headers } of [...products, ...[...products].reverse()]) {
    for (const each of [sync, late]) {
      assert.equal(each.hear(body, headers), 200);
      assert.ok(await isRight(each));
    }
  }
  const { body, headers } = products[0]!;
  assert.equal(sync.hear(body.replace("product", "produce"), headers), 401);
});

test("after a week offline it reads what happened from its cursor, and the webhooks of that week change nothing", async () => {
  await stop(server);
  await change();
  const unlisted = {
    events: shop.events,
    catalog: {
      ...shop.catalog,
      listAvailableProducts: () => Promise.reject(new Error("all of it was listed, not what happened")),
    },
  };
  sync = newSync(unlisted);
  assert.ok(!(await isRight(sync)));
  await sync.catchUp();
  assert.deepEqual(seenBy(sync), await truth());
  const known = hooks.length;
  server = await open(port);
  await staff.webhooks.enableEndpoint({ endpointId });
  await change();
  await until(() => hooks.length > known + 15);
  await until(() => isRight(sync));
});

test("after longer than events are kept it begins anew", async () => {
  await stop(server);
  await change();
  forgetEvents();
  sync = newSync();
  await sync.catchUp();
  assert.deepEqual(seenBy(sync), await truth());
  const { cursor } = JSON.parse(readFileSync(file, "utf8")) as { cursor: string };
  assert.ok((await shop.events.listEvents({ cursor })).nextCursor);
  server = await open(port);
});

/** Does to the record what its retention does, but for the time that it takes. */
function forgetEvents(): void {
  const script = `
import asyncio, sys, asyncpg
async def main():
    database = await asyncpg.connect(sys.argv[1])
    await database.execute("UPDATE event_retention SET dropped_seq = (SELECT max(seq) FROM events), oldest_time = now()")
    await database.close()
asyncio.run(main())`;
  execFileSync(process.env.PYTHON!, ["-c", script, run.database]);
}
