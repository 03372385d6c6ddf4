/** The hub: one stream of all events for every tab of this browser, and the session that they share. */

import { Stockward, StockwardError, watch } from "@stockward/client";
import type { event } from "@stockward/client";
import type { FromHub, Session, StreamState, ToHub } from "./protocol";

/** Pause between two messages to the tabs, in milliseconds: a flash sale is a few messages a second, not thousands. */
const BATCH_MS = 100;

/** Seconds after which an event counts as late. Clocks may differ by less. */
const LATE_SECONDS = 10;

export class Hub {
  readonly #ports = new Set<MessagePort>();
  readonly #origin: string;
  #session: Session | null = null;
  #state: StreamState = { kind: "off" };
  #ending = new AbortController();
  #waiting: event.Event[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(origin: string) {
    this.#origin = origin;
  }

  attach(port: MessagePort): void {
    port.onmessage = ({ data }: MessageEvent<ToHub>) => this.#receive(port, data);
    port.start();
  }

  #receive(port: MessagePort, message: ToHub): void {
    if (message.kind === "bye") {
      this.#ports.delete(port);
      return;
    }
    this.#ports.add(port);
    if (message.kind === "session" || (this.#session === null && message.session !== null)) this.#use(message.session);
    else {
      post(port, { kind: "session", session: this.#session });
      post(port, { kind: "state", state: this.#state });
    }
  }

  #use(session: Session | null): void {
    this.#ending.abort();
    this.#ending = new AbortController();
    this.#session = session;
    this.#waiting = [];
    this.#tell({ kind: "session", session });
    if (session === null) this.#enter({ kind: "off" });
    else void this.#follow(session, this.#ending.signal);
  }

  async #follow(session: Session, signal: AbortSignal): Promise<void> {
    const client = new Stockward(this.#origin, session.secret);
    let began = false;
    const open: typeof client.events.watchEvents = (request, options) => {
      this.#enter({ kind: "connecting" });
      if (began && !request.cursor) this.#tell({ kind: "reset" });
      began = true;
      return client.events.watchEvents(request, options);
    };
    try {
      for await (const response of watch(open, {}, { signal })) this.#take(response.events);
    } catch (cause) {
      if (signal.aborted) return;
      this.#enter({ kind: "refused", message: StockwardError.from(cause).message });
    }
  }

  #take(events: readonly event.Event[]): void {
    const newest = events.at(-1)?.time;
    const seconds = newest ? Date.now() / 1000 - Number(newest.seconds) : 0;
    this.#enter(seconds > LATE_SECONDS ? { kind: "behind", seconds: Math.round(seconds) } : { kind: "live" });
    this.#waiting.push(...events);
    if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) this.#tell({ kind: "events", events });
  }

  #enter(state: StreamState): void {
    if (state.kind === this.#state.kind && state.seconds === this.#state.seconds) return;
    this.#state = state;
    this.#tell({ kind: "state", state });
  }

  #tell(message: FromHub): void {
    this.#ports.forEach((port) => post(port, message));
  }
}

function post(port: MessagePort, message: FromHub): void {
  port.postMessage(message);
}
