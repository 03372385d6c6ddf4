/** Events from NATS JetStream, each handled once and in order. Needs `@nats-io/jetstream` and `@nats-io/transport-node`. */

import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { AckPolicy, DeliverPolicy, jetstream, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import type { Consumer, JsMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { EventSchema } from "./generated/stockward/event/v1/event_pb.js";
import type { Event } from "./generated/stockward/event/v1/event_pb.js";
import { pauses, sleep } from "./pauses.js";

export { subjectFor } from "./subjects.js";

/** How long one request for an event lasts. */
const FETCH_MS = 2000;
/** How long the confirmation of an acknowledgement is waited for before it is sent again. */
const CONFIRM_MS = 1000;
/** JetStream's error code for a durable that cannot be changed as asked. */
const CONSUMER_REFUSED = 10012;
/** Aggregates whose last handled event is kept in mind. */
const REMEMBERED = 100_000;

export interface SubscribeOptions {
  /** Such as `order.created`, or `order.*` for all of an aggregate. Neither types nor subjects: all events. */
  types?: readonly string[];
  /** Further subjects, such as `subjectFor("TEE-L")` returns. None may overlap another one or a type. */
  subjects?: readonly string[];
  /** Ends the subscription. */
  signal?: AbortSignal;
  /** Name of the stream; `STOCKWARD`. */
  stream?: string;
  /** A new durable starts with the events to come instead of the oldest one that is kept. */
  onlyNew?: boolean;
  /**
   * Milliseconds after which an event comes again, or goes to another subscriber, when its own has died; 30,000. One that
   * is still being handled does not.
   */
  ackWaitMs?: number;
  /** Milliseconds before an event whose handler failed comes again: after the first time, the second ..., and ever after. */
  retryDelaysMs?: readonly number[];
  /** Called for each message that is not an event; by default `onError` is. The message is skipped, so that nothing waits behind it. */
  onUnreadable?: (subject: string, data: Uint8Array) => unknown;
  /** Called with the number of events that wait in the stream, after each one and when there is none. */
  onLag?: (events: number) => void;
  /** Called when a handler fails, and when NATS is away. */
  onError?: (error: unknown) => void;
  /** Of JetStream; `$JS.API`. A user that may only read events has `STOCKWARD.API`. */
  apiPrefix?: string;
  /** Credentials and further options of the connection to NATS. */
  nats?: NodeConnectionOptions;
}

type Settings = Required<Omit<SubscribeOptions, "signal" | "nats">>;

/**
 * Hands every event to `handler`, one after the other, until `signal` aborts.
 *
 * An event is acknowledged once the handler has returned. One whose handler fails comes again, and all later ones wait for
 * it, so that order holds, also when subscribers crash and when several share the same `durable`. Duplicates are dropped as
 * far as this process remembers; after a crash between handling and acknowledging, an event comes again: store `eventId`
 * where that matters. NATS may restart, or not be there yet.
 *
 * @param url `nats://HOST:PORT`, with a token or user before an `@` where NATS wants one; several servers by commas.
 * @param durable Name under which the stream remembers how far this subscriber is: letters, digits, `_` and `-`.
 */
export async function subscribe(
  url: string,
  durable: string,
  handler: (event: Event) => unknown,
  { signal, nats = {}, ...options }: SubscribeOptions = {},
): Promise<void> {
  const settings: Settings = {
    types: [],
    subjects: [],
    stream: "STOCKWARD",
    apiPrefix: "$JS.API",
    onlyNew: false,
    ackWaitMs: 30_000,
    retryDelaysMs: [1000, 5000, 30_000, 60_000],
    onError: () => undefined,
    onUnreadable: (subject) => settings.onError(new Error(`a message on ${subject} is no event, and is left out`)),
    onLag: () => undefined,
    ...options,
  };
  const seen = new Seen();
  const client = await connect({
    ...addresses(url),
    name: "stockward-client",
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    waitOnFirstConnect: true,
    ...nats,
  });
  const end = (): void => void client.close();
  signal?.addEventListener("abort", end);
  try {
    let consumer: Consumer | undefined;
    for (let waiting = pauses(); !signal?.aborted; ) {
      try {
        consumer ??= await durableConsumer(client, durable, settings);
        const message = await consumer.next({ expires: FETCH_MS });
        if (message) await handle(message, handler, seen, settings);
        settings.onLag(message?.info.pending ?? 0);
        waiting = pauses();
      } catch (error) {
        if (signal?.aborted) return;
        if (client.isClosed() || (error instanceof JetStreamApiError && error.code === CONSUMER_REFUSED)) throw error;
        consumer = undefined;
        settings.onError(error);
        await sleep(waiting.next().value, signal);
      }
    }
  } finally {
    signal?.removeEventListener("abort", end);
    await client.close();
  }
}

async function handle(
  message: JsMsg,
  handler: (event: Event) => unknown,
  seen: Seen,
  { ackWaitMs, retryDelaysMs, onError, onUnreadable }: Settings,
): Promise<void> {
  const event = eventOf(message);
  if (!event) {
    await onUnreadable(message.subject, message.data);
    message.term(); // it does not become one by coming again
    return;
  }
  if (!seen.has(event)) {
    const working = setInterval(() => message.working(), ackWaitMs / 3);
    try {
      await handler(event);
    } catch (error) {
      onError(error);
      message.nak(retryDelaysMs[Math.min(message.info.deliveryCount, retryDelaysMs.length) - 1] ?? 0);
      return;
    } finally {
      clearInterval(working);
    }
    seen.add(event);
  }
  // One that is lost, as in a restart, would hold back the next event for as long as ackWaitMs.
  for (const deadline = Date.now() + ackWaitMs; Date.now() < deadline; ) {
    if (await message.ackAck({ timeout: CONFIRM_MS }).catch(() => false)) return;
  }
}

/** Undefined where the message is no event: one has an id. */
function eventOf(message: JsMsg): Event | undefined {
  try {
    const event = fromBinary(EventSchema, message.data);
    return event.eventId ? event : undefined;
  } catch {
    return undefined;
  }
}

/** One event is out at a time: that is what keeps the order. */
async function durableConsumer(client: NatsConnection, durable: string, settings: Settings): Promise<Consumer> {
  const { types, subjects, stream, onlyNew, ackWaitMs, apiPrefix } = settings;
  const filters = [...types.map((type) => `stockward.v1.${type}.*`), ...subjects];
  const manager = await jetstreamManager(client, { apiPrefix, checkAPI: false }); // not everybody may ask of the account
  await manager.consumers.add(stream, {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    ack_wait: ackWaitMs * 1e6,
    max_ack_pending: 1,
    deliver_policy: onlyNew ? DeliverPolicy.New : DeliverPolicy.All,
    filter_subjects: filters.length ? filters : ["stockward.v1.>"],
  });
  return await jetstream(client, { apiPrefix }).consumers.get(stream, durable);
}

/**
 * The last handled event of each aggregate.
 *
 * Versions of an aggregate rise, and so do times, which are the database's. Both are looked at because the stock of a SKU
 * that was dropped and made again counts from 1.
 */
class Seen {
  readonly #last = new Map<string, Event>();

  add(event: Event): void {
    const aggregate = keyOf(event);
    this.#last.delete(aggregate); // and to the end with it
    this.#last.set(aggregate, event);
    if (this.#last.size > REMEMBERED) this.#last.delete(this.#last.keys().next().value!);
  }

  has(event: Event): boolean {
    const last = this.#last.get(keyOf(event));
    return last !== undefined && event.aggregateVersion <= last.aggregateVersion && timeOf(event) <= timeOf(last);
  }
}

function keyOf(event: Event): string {
  return `${event.aggregateType}/${event.aggregateId}`;
}

function timeOf({ time }: Event): number {
  return time ? timestampDate(time).getTime() : 0;
}

/** The servers, and the token or user that stands in their URL. */
function addresses(urls: string): NodeConnectionOptions {
  const found = urls.split(",").map((each) => new URL(each.trim()));
  const [{ username, password } = { username: "", password: "" }] = found;
  return {
    servers: found.map(({ protocol, host }) => `${protocol}//${host}`),
    ...(password ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) } : {}),
    ...(username && !password ? { token: decodeURIComponent(username) } : {}),
  };
}
