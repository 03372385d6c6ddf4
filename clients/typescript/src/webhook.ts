/** Webhooks that Stockward sends: is it really from there, and what does it say. */

import { fromJson } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import { Webhook } from "standardwebhooks";
import { EventSchema } from "./generated/stockward/event/v1/event_pb.js";
import type { Event } from "./generated/stockward/event/v1/event_pb.js";

/** A request that is no webhook of Stockward's: answer 401. */
export class WebhookNotVerified extends Error {
  override readonly name = "WebhookNotVerified";
}

/**
 * The event that a webhook carries, the same as on NATS and from ListEvents. It may come more than once: compare `eventId`.
 *
 * A large event comes thin, without its `data` (`data.case` is undefined): read the resource that `aggregateId` names,
 * or the event itself from ListEvents.
 *
 * Checks the signature as Standard Webhooks 1.0 says, and that the timestamp is within five minutes of now.
 *
 * @param body The raw body, as it was received.
 * @param headers Of the request, as Node.js or fetch give them.
 * @param secret `whsec_...`; several while they are being changed, any of which will do.
 * @throws WebhookNotVerified
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  secret: string | readonly string[],
): Event {
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const given = headers instanceof Headers ? Object.fromEntries(headers) : headers;
  const flat = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value ?? "")]));
  let cause: unknown = new Error("there is no secret to check it with");
  for (const each of [secret].flat()) {
    try {
      const { data } = new Webhook(each).verify(text, flat) as { data: JsonObject };
      return fromJson(EventSchema, data, { ignoreUnknownFields: true }); // a newer server may tell more
    } catch (error) {
      cause = error;
    }
  }
  throw new WebhookNotVerified(`not a webhook of Stockward: ${(cause as Error).message}`, { cause });
}
