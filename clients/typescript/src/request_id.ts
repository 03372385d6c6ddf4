/** A request_id for every mutation. */

import { clone, create } from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";

/** A copy of the request in which every empty `request_id` is filled, those of the requests of a batch included. */
export function numbered<I extends DescMessage>(schema: I, request: MessageInitShape<I>): MessageShape<I> {
  const copy = clone(schema, create(schema, request));
  number(reflect(schema, copy));
  return copy;
}

/** `request_id` of a message that has one; else empty. */
export function requestIdOf(message: object): string {
  return "requestId" in message ? String(message.requestId) : "";
}

function number(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (field.name === "request_id" && field.fieldKind === "scalar") {
      if (message.get(field) === "") message.set(field, crypto.randomUUID());
    } else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const each of message.get(field)) number(each as ReflectMessage);
    }
  }
}
