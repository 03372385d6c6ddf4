/** Subjects of NATS on which the events of one thing are published. */

/**
 * Returns the subject of the stock events of a SKU, at all locations.
 *
 * A SKU may have characters that a subject cannot have, so each byte of it in UTF-8 other than A-Z, a-z, 0-9 and `-` is `_`
 * and two hexadecimal digits: `A.1` is `A_2E1`. As the server does, it puts the SKU into Unicode's normal form C.
 *
 * @param sku Stock keeping unit, 1 to 64 characters.
 * @param event The last part of the event's type, such as `changed` or `depleted`; `*` for all of them.
 */
export function subjectFor(sku: string, event = "*"): string {
  return `stockward.v1.stock.${event}.${tokenFor(sku.normalize("NFC"))}`;
}

/** Returns any text but the empty one as a single token of a subject, escaped as events are published. */
export function tokenFor(text: string): string {
  if (!text) throw new RangeError("a subject has no empty token");
  return Array.from(new TextEncoder().encode(text), escaped).join("");
}

function escaped(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9-]/.test(character) ? character : `_${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
