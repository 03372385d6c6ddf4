/** Events over NATS, and webhooks. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { event, rows } from "@stockward/client";
import { subscribe } from "@stockward/client/events";
import { verifyWebhook, WebhookNotVerified } from "@stockward/client/webhook";
import { Webhook } from "standardwebhooks";
import { newSku, readRun, receive, receiver, run, sell, shop, staff, stop, tell, until } from "./shop.js";

after(() => {
  shop.close();
  staff.close();
});

type Event = event.Event;

const secretOfStack = run.webhook_secrets.STOREFRONT_WEBHOOK_SECRET;

/** Puts the newest event of an aggregate into the stream once more, as a publisher whose acknowledgement was lost may. */
async function repeatInStream(aggregateId: string, changes: Partial<Event> = {}): Promise<void> {
  const events: Event[] = [];
  for await (const each of rows(shop.events.listEvents, { aggregateId })) events.push(each);
  await publish("stockward.v1.stock.changed.again", toBinary(event.EventSchema, { ...events.at(-1)!, ...changes }));
}

async function publish(subject: string, data: Uint8Array): Promise<void> {
  const { host, username, password } = new URL(process.env["NATS_PUBLISHER"]!);
  const client = await connect({ servers: host, user: username, pass: password });
  await jetstream(client).publish(subject, data);
  await client.close();
}

function listen(durable: string, handler: (event: Event) => unknown, types = ["stock.*"]) {
  const over = new AbortController();
  const retryDelaysMs = [50];
  const ended = subscribe(run.nats, durable, handler, {
    types,
    retryDelaysMs,
    ackWaitMs: 2000,
    apiPrefix: run.nats_api,
    signal: over.signal,
  });
  return async () => {
    over.abort();
    await ended;
  };
}

test("every event comes once and in order; one whose handler fails comes again before all later ones", async () => {
  const sku = newSku();
  const heard: bigint[] = [];
  let failures = 0;
  const handler = (each: Event): void => {
    if (each.aggregateId !== `${sku}@main`) return;
    if (each.aggregateVersion === 3n && failures++ < 2) throw new Error("not today");
    heard.push(each.aggregateVersion);
  };
  const end = listen("ts-once", handler);
  await sell(1, sku);
  for (let each = 0; each < 4; each++) await receive(sku, 1);
  await until(() => heard.length === 5);
  await repeatInStream(`${sku}@main`);
  // The SKU was dropped and made again.
  await repeatInStream(`${sku}@main`, { aggregateVersion: 1n, time: timestampFromMs(Date.now() + 1000) });
  await until(() => heard.length > 5);
  await end();
  assert.equal(failures, 3);
  assert.deepEqual(heard, [1n, 2n, 3n, 4n, 5n, 1n]);
});

test("a message that is no event is left out, and those behind it come", async () => {
  const { sku } = await sell(1);
  const heard: bigint[] = [];
  const leftOut: string[] = [];
  let lag = -1;
  const over = new AbortController();
  const ended = subscribe(
    run.nats,
    "ts-unreadable",
    (each) => {
      if (each.aggregateId === `${sku}@main`) heard.push(each.aggregateVersion);
    },
    {
      types: ["stock.*"],
      apiPrefix: run.nats_api,
      signal: over.signal,
      onUnreadable: (subject, data) => leftOut.push(`${subject} ${data.length}`),
      onLag: (events) => (lag = events),
    },
  );
  await until(() => heard.length === 1);
  await publish("stockward.v1.stock.changed.fake", new Uint8Array([255, 255]));
  await receive(sku, 1);
  await until(() => heard.length === 2 && lag === 0);
  over.abort();
  await ended;
  assert.deepEqual(leftOut, ["stockward.v1.stock.changed.fake 2"]);
});

test("who was away goes on where it was, also when NATS was killed meanwhile", async () => {
  const { sku } = await sell(1);
  const heard: bigint[] = [];
  const handler = (each: Event): void => {
    if (each.aggregateId === `${sku}@main`) heard.push(each.aggregateVersion);
  };
  let end = listen("ts-away", handler);
  await until(() => heard.length === 1);
  await end();
  await receive(sku, 1);
  end = listen("ts-away", handler);
  await until(() => heard.length === 2);
  process.kill(readRun().pids.nats, "SIGKILL");
  await receive(sku, 1);
  await until(() => heard.length === 3);
  await end();
  assert.deepEqual(heard, [1n, 2n, 3n]);
});

test("a webhook that Stockward sends is verified, and carries its event", async () => {
  const heard: Event[] = [];
  let secret = "";
  const server = await receiver((body, headers) => {
    heard.push(verifyWebhook(body, headers, ["whsec_b3RoZXI=", secret]));
    return 204;
  });
  ({ secret } = await tell(server, ["product.*"]));
  const { product } = await sell(0);
  await until(() => heard.some((each) => each.aggregateId === product.productId && each.type === "product.published"));
  await stop(server);
  const published = heard.find((each) => each.type === "product.published" && each.aggregateId === product.productId)!;
  assert.equal(published.data.case, "product");
  assert.equal(published.aggregateVersion, product.version);
});

test("a great event comes thin, without what happened", () => {
  const thin = { truncated: true, link: "/api/storefront/events?aggregate_id=o&types=order.created" };
  const data = { eventId: "1", type: "order.created", aggregateId: "o", aggregateVersion: "7", ...thin };
  const body = JSON.stringify({ type: data.type, data });
  const now = new Date();
  const headers = {
    "webhook-id": "1",
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(secretOfStack).sign("1", now, body),
  };
  const event = verifyWebhook(body, headers, secretOfStack);
  assert.deepEqual([event.aggregateId, event.aggregateVersion, event.data.case], ["o", 7n, undefined]);
});

test("a webhook of somebody else is refused, and so is an old one", () => {
  const body = JSON.stringify({ type: "stock.low", data: { eventId: "1" } });
  const sign = (secret: string, moment: Date) => ({
    "webhook-id": "1",
    "webhook-timestamp": String(Math.floor(moment.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign("1", moment, body),
  });
  const now = new Date();
  assert.equal(verifyWebhook(body, new Headers(sign(secretOfStack, now)), secretOfStack).eventId, "1");
  const refuse = (text: string, headers: Record<string, string>, secret: string | string[]) =>
    assert.throws(() => verifyWebhook(text, headers, secret), WebhookNotVerified);
  refuse(body, sign("whsec_b3RoZXI=", now), secretOfStack);
  refuse(body, sign(secretOfStack, new Date(now.getTime() - 360_000)), secretOfStack);
  refuse(body.replace("low", "fine"), sign(secretOfStack, now), secretOfStack);
  refuse(body, {}, secretOfStack);
  refuse(body, sign(secretOfStack, now), []);
});
