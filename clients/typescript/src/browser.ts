/** Stockward from a browser: gRPC-Web through the edge. */

import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { Services } from "./client.js";
import type { Options } from "./client.js";
import type { Key } from "./transport.js";

export * from "./public.js";

/** `new Stockward("https://shop.example", key)`. A key in a page is everybody's: give it one that may do no harm. */
export class Stockward extends Services {
  /** @param address Of the edge, such as `http://127.0.0.1:8080`. */
  constructor(address: string, key: Key, options: Options = {}) {
    super(createGrpcWebTransport({ baseUrl: address }), key, options);
  }
}
