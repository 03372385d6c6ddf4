/** Watches that go on. */

import { Code } from "@connectrpc/connect";
import type { CallOptions } from "@connectrpc/connect";
import { StockwardError } from "./errors.js";
import { pauses, sleep } from "./pauses.js";

/** Silence after which a connection counts as lost: heartbeats come every 15 s by default. */
const SILENCE_MS = 40_000;

/** The server stops or is away; it was read too slowly; it has too many watches. */
const RESUMABLE: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Aborted, Code.ResourceExhausted]);

export interface WatchOptions {
  /** Ends the watch. */
  signal?: AbortSignal;
  /** Milliseconds without a response after which the connection counts as lost. */
  silenceMs?: number;
  /** Is called when the present state comes again, because the cursor is good no longer: what came before may be lost.
   * `error.metadata.time` says up to when the record of CURSOR_LOST is what it was. */
  onRestart?: (error: StockwardError) => void;
}

/**
 * A stream that is opened again after its last cursor whenever it ends or breaks: nothing is missed, and nothing comes
 * twice. `for await (const { availabilities } of watch(shop.inventory.watchAvailability, { skus: ["TEE-L"] }))`
 *
 * Where the cursor is good no longer (CURSOR_EXPIRED: the events after it are no longer kept; CURSOR_LOST: those before it
 * are lost, since the database was restored), the present state comes again. Leaving the loop closes the stream.
 *
 * @throws StockwardError for what asking again cannot fix, such as PERMISSION_DENIED.
 */
export async function* watch<Request extends object, Response extends { cursor: string }>(
  open: (request: Request, options?: CallOptions) => AsyncIterable<Response>,
  request: Request & { cursor?: string },
  { signal, silenceMs = SILENCE_MS, onRestart }: WatchOptions = {},
): AsyncGenerator<Response> {
  let cursor = request.cursor ?? "";
  let waiting = pauses();
  while (!signal?.aborted) {
    const connection = new AbortController();
    const close = (): void => connection.abort();
    signal?.addEventListener("abort", close);
    let pause = 0;
    try {
      const stream = open({ ...request, cursor }, { signal: connection.signal })[Symbol.asyncIterator]();
      for (;;) {
        const silence = setTimeout(close, silenceMs);
        const next = await stream.next().finally(() => clearTimeout(silence));
        if (next.done) break;
        waiting = pauses();
        cursor = next.value.cursor || cursor; // there is none before the present state is sent
        yield next.value;
      }
    } catch (cause) {
      const error = StockwardError.from(cause);
      if (error.reason === "CURSOR_EXPIRED" || error.reason === "CURSOR_LOST") {
        cursor = "";
        onRestart?.(error);
      } else if (!connection.signal.aborted && !RESUMABLE.has(error.code)) throw error;
      pause = 1000 * (error.retryAfter ?? 0);
    } finally {
      signal?.removeEventListener("abort", close);
      close();
    }
    await sleep(Math.max(waiting.next().value, pause), signal);
  }
}
