/** The services, and what Node.js and browsers share. */

import { createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import { KeyService } from "./generated/stockward/auth/v1/key_pb.js";
import { SessionService } from "./generated/stockward/auth/v1/session_pb.js";
import { CatalogService } from "./generated/stockward/catalog/v1/catalog_pb.js";
import { EventService } from "./generated/stockward/event/v1/event_pb.js";
import { InventoryService } from "./generated/stockward/inventory/v1/inventory_pb.js";
import { OrderService } from "./generated/stockward/order/v1/order_pb.js";
import { StatusService } from "./generated/stockward/status/v1/status_pb.js";
import { WebhookService } from "./generated/stockward/webhook/v1/webhook_pb.js";
import { Consistency } from "./consistency.js";
import { dependable } from "./transport.js";
import type { Key } from "./transport.js";

export interface Options {
  /** Milliseconds that a call may take, further attempts included; 10,000 by default, 0 for no limit. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Every rpc of the contract is a method: `client.orders.createOrder({ lines: [{ sku: "TEE-L", quantity: 2n }] })`. */
export class Services {
  readonly catalog: Client<typeof CatalogService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly orders: Client<typeof OrderService>;
  readonly events: Client<typeof EventService>;
  readonly webhooks: Client<typeof WebhookService>;
  readonly keys: Client<typeof KeyService>;
  readonly sessions: Client<typeof SessionService>;
  readonly status: Client<typeof StatusService>;
  /** What carries the calls; `createClient` makes further clients on it. */
  readonly transport: Transport;
  readonly #consistency = new Consistency();

  protected constructor(carrier: Transport, key: Key, { timeoutMs = TIMEOUT_MS }: Options) {
    this.transport = dependable(carrier, key, timeoutMs, this.#consistency);
    this.catalog = createClient(CatalogService, this.transport);
    this.inventory = createClient(InventoryService, this.transport);
    this.orders = createClient(OrderService, this.transport);
    this.events = createClient(EventService, this.transport);
    this.webhooks = createClient(WebhookService, this.transport);
    this.keys = createClient(KeyService, this.transport);
    this.sessions = createClient(SessionService, this.transport);
    this.status = createClient(StatusService, this.transport);
  }

  /**
   * The token of this client's last change; empty before the first one. It is sent with every call, so that lists that a
   * read replica serves show that change. Setting one, such as that of another process which has made a change for the
   * same user, keeps the later of the two.
   */
  get consistencyToken(): string {
    return this.#consistency.token;
  }

  set consistencyToken(token: string) {
    this.#consistency.observe(token);
  }
}
