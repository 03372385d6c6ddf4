/** The running stack, found by `.stockward/run.json` of the working directory, and a few words to arrange things with. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, inventory, rows, StockwardError, Stockward } from "@stockward/client";
import type { catalog } from "@stockward/client";

interface Run {
  grpc: string;
  edge: string;
  /** Of one who may only read events. */
  nats: string;
  nats_api: string;
  database: string;
  keys: Record<"pms" | "storefront" | "admin", string>;
  webhook_secrets: { STOREFRONT_WEBHOOK_SECRET: string };
  pids: Record<"server" | "edge" | "nats", number>;
}

export const readRun = (): Run => JSON.parse(readFileSync(".stockward/run.json", "utf8")) as Run;
export const run = readRun();

/** A server that is killed meanwhile takes its time to come back on a busy machine. */
const PATIENT = { timeoutMs: 45_000 };
export const staff = new Stockward(run.grpc, run.keys.pms, PATIENT);
export const shop = new Stockward(run.grpc, () => Promise.resolve(run.keys.storefront), PATIENT);

let number = 0;

/** Publishes a product with one variant at 12.50 EUR and puts units on hand. */
export async function sell(units: number, sku = newSku()): Promise<{ sku: string; product: catalog.Product }> {
  const price = { currencyCode: "EUR", units: 12n, nanos: 500_000_000 };
  const draft = await staff.catalog.createProduct({ product: { title: `Product ${sku}`, variants: [{ sku, price }] } });
  const product = await staff.catalog.publishProduct({ productId: draft.productId });
  if (units) await receive(sku, units);
  return { sku, product };
}

export function newSku(): string {
  return `TS-${process.pid}-${++number}`;
}

/** Puts units on hand. */
export async function receive(sku: string, units: number): Promise<void> {
  const reason = inventory.AdjustmentReason.RECEIVED;
  await staff.inventory.adjustStock({ sku, change: { case: "delta", value: BigInt(units) }, reason });
}

/** Answers webhooks with the status that `hear` says, at a port of its own or at `port`. */
export async function receiver(hear: (body: Buffer, headers: IncomingHttpHeaders) => number, port = 0): Promise<Server> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => response.writeHead(hear(Buffer.concat(parts), request.headers)).end());
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Stops it, and waits until it has. */
export async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

export const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/**
 * Has `server` receive the events of `types` from now on; answers the endpoint and the secret of its webhooks. Those of the
 * settings do not help here: no server listened there before, so the address is tried rarely by now.
 */
export async function tell(server: Server, types: string[]): Promise<{ endpointId: string; secret: string }> {
  const url = `http://127.0.0.1:${portOf(server)}`;
  const { endpoint, secret } = await staff.webhooks.createEndpoint({ endpoint: { url, types } });
  return { endpointId: endpoint!.endpointId, secret };
}

/** The one order that there is of a SKU, or as many as there are. */
export async function ordersOf(sku: string): Promise<string[]> {
  const found: string[] = [];
  for await (const order of rows(staff.orders.listOrders, { sku })) found.push(order.orderId);
  return found;
}

/** The error that `call` must end with. */
export async function refused(call: Promise<unknown>): Promise<StockwardError> {
  const answer: unknown = await call.catch((error: unknown) => error);
  if (answer instanceof StockwardError) return answer;
  throw new Error("not refused", { cause: answer });
}

/** Waits until `condition` holds. */
export async function until(condition: () => unknown, seconds = 45): Promise<void> {
  for (const deadline = Date.now() + 1000 * seconds; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error(`it did not happen within ${seconds} s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export { Code };
