/** Keeps a storefront's catalogue what Stockward's is, through duplicates, reordering and time offline. */

import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import { pages, rows, StockwardError } from "@stockward/client";
import type { Stockward } from "@stockward/client";
import { verifyWebhook, WebhookNotVerified } from "@stockward/client/webhook";
import { Catalogue } from "./catalogue.js";
import type { Shown } from "./catalogue.js";

const PRODUCTS = ["product.*"];

/**
 * `catchUp()` first, then `server()` for webhooks, and `catchUp()` again now and then: it fixes whatever a webhook
 * did not, and keeps the cursor younger than the oldest event that is kept.
 */
export class StorefrontSync {
  #catalogue: Catalogue;

  /** `shop` has a storefront's key, which ListEvents takes; `file` keeps what is known. */
  constructor(
    private readonly shop: Pick<Stockward, "catalog" | "events">,
    private readonly secret: string,
    private readonly file: string,
  ) {
    this.#catalogue = Catalogue.load(file);
  }

  get visible(): Shown[] {
    return this.#catalogue.visible;
  }

  /** Reads what happened since the last time; all there is, the first time, when that was too long ago, and when the shop
   * has lost what it delivered then. */
  async catchUp(): Promise<void> {
    try {
      if (this.#catalogue.cursor) await this.#readEvents(this.#catalogue);
      else await this.#begin();
    } catch (error) {
      const startOver = error instanceof StockwardError && ["CURSOR_EXPIRED", "CURSOR_LOST"].includes(error.reason);
      if (!startOver) throw error;
      await this.#begin();
    }
    this.#catalogue.save(this.file);
  }

  /**
   * The list has what is older than the record of events. The record, read after it, has what changed meanwhile and the
   * versions of what is hidden by now, so that a webhook about that which comes late shows nothing.
   */
  async #begin(): Promise<void> {
    const fresh = new Catalogue();
    for await (const product of rows(this.shop.catalog.listAvailableProducts, { pageSize: 500 })) fresh.list(product);
    await this.#readEvents(fresh);
    this.#catalogue = fresh;
  }

  async #readEvents(catalogue: Catalogue): Promise<void> {
    const request = { cursor: catalogue.cursor, types: PRODUCTS, pageSize: 1000 };
    for await (const page of pages(this.shop.events.listEvents, request)) {
      for (const event of page.events) catalogue.hear(event);
      catalogue.cursor = page.nextCursor;
    }
  }

  /** Takes a webhook; the HTTP status to answer. It is stored before it is answered. */
  hear(body: string, headers: IncomingHttpHeaders): number {
    try {
      if (this.#catalogue.hear(verifyWebhook(body, headers, this.secret))) this.#catalogue.save(this.file);
      return 200;
    } catch (error) {
      if (error instanceof WebhookNotVerified) return 401;
      throw error;
    }
  }

  /** Takes webhooks at any path, and answers a GET with the catalogue. */
  server(): Server {
    return createServer((request, response) => {
      if (request.method === "GET") {
        response.setHeader("content-type", "application/json").end(JSON.stringify(this.visible));
        return;
      }
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => response.writeHead(this.hear(Buffer.concat(parts).toString(), request.headers)).end());
    });
  }
}
