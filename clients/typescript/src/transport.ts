/** What the client does about each call, whatever carries it. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { Consistency } from "./consistency.js";
import { StockwardError } from "./errors.js";
import { pauses, sleep } from "./pauses.js";
import { numbered, requestIdOf } from "./request_id.js";

/** An API key or a token, or a function that answers one and is asked before every attempt. */
export type Key = string | (() => string | Promise<string>);

/**
 * Adds to `inner`: the key, a deadline, attempts while the server is UNAVAILABLE, request_ids, the consistency token, and
 * StockwardError.
 *
 * All attempts of a call carry the same request_id, so that a change is made once. Streams are not sent again, and have
 * no deadline but the caller's.
 */
export function dependable(inner: Transport, key: Key, defaultTimeoutMs: number, consistency = new Consistency()): Transport {
  async function authorized(header: HeadersInit | undefined): Promise<Headers> {
    const headers = new Headers(header);
    if (!headers.has("authorization")) {
      headers.set("authorization", `Bearer ${typeof key === "string" ? key : await key()}`);
    }
    consistency.send(headers);
    return headers;
  }

  return {
    async unary(method, signal, timeoutMs = defaultTimeoutMs, header, input, contextValues) {
      const request = numbered(method.input, input);
      const deadline = timeoutMs > 0 ? Date.now() + timeoutMs : Infinity;
      const waiting = pauses();
      for (;;) {
        const headers = await authorized(header);
        const left = deadline === Infinity ? 0 : Math.max(1, deadline - Date.now()); // 0 is none
        try {
          const response = await inner.unary(method, signal, left, headers, request as MessageInitShape<typeof method.input>, contextValues);
          consistency.note(response.trailer);
          return response;
        } catch (cause) {
          const error = StockwardError.from(cause, signal, requestIdOf(request));
          const pause = Math.max(waiting.next().value, 1000 * (error.retryAfter ?? 0));
          if (error.code !== Code.Unavailable || Date.now() + pause >= deadline) throw error;
          await sleep(pause, signal);
        }
      }
    },

    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const headers = await authorized(header);
      try {
        const requests = each(input, (request) => numbered(method.input, request) as MessageInitShape<typeof method.input>);
        const response = await inner.stream(method, signal, timeoutMs, headers, requests, contextValues);
        return { ...response, message: typed(response.message, signal, () => consistency.note(response.trailer)) };
      } catch (cause) {
        throw StockwardError.from(cause, signal);
      }
    },
  };
}

async function* each<T, U>(items: AsyncIterable<T>, change: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield change(item);
}

async function* typed<T>(messages: AsyncIterable<T>, signal: AbortSignal | undefined, atEnd: () => void): AsyncGenerator<T> {
  try {
    yield* messages;
    atEnd();
  } catch (cause) {
    throw StockwardError.from(cause, signal);
  }
}
