/** Stockward from Node.js: gRPC, to a server or through the edge. */

import type { SecureClientSessionOptions } from "node:http2";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Services } from "./client.js";
import type { Options } from "./client.js";
import type { Key } from "./transport.js";

export * from "./public.js";

export interface NodeOptions extends Options {
  /** Roots, certificates and further options of TLS. */
  tls?: SecureClientSessionOptions;
}

/** A connection that went dead without a word is noticed within half a minute. */
const KEEP_ALIVE = { pingIntervalMs: 20_000, pingTimeoutMs: 10_000 };

/** `new Stockward("127.0.0.1:50051", key)`. */
export class Stockward extends Services {
  readonly #sessions: Http2SessionManager;

  /** @param address `HOST:PORT`, plain on this machine and with TLS elsewhere, or a URL that says which. */
  constructor(address: string, key: Key, options: NodeOptions = {}) {
    const baseUrl = urlOf(address);
    const sessionManager = new Http2SessionManager(baseUrl, KEEP_ALIVE, options.tls);
    super(createGrpcTransport({ baseUrl, sessionManager }), key, options);
    this.#sessions = sessionManager;
  }

  /** Ends the connection, and with it calls that are under way. */
  close(): void {
    this.#sessions.abort();
  }
}

function urlOf(address: string): string {
  if (address.includes("://")) return address;
  return `${/^(localhost|127(\.\d+){3}|\[::1\]):\d+$/.test(address) ? "http" : "https"}://${address}`;
}
