/** Money, numbers and times as the viewer's browser writes them. */

import type { Money } from "@stockward/client";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

const numbers = new Intl.NumberFormat();
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "always", style: "short" });
const currencies = new Map<string, Intl.NumberFormat>();

export function number(value: bigint | number): string {
  return numbers.format(value);
}

/** Money exactly: units and nanos are never one floating-point number. Empty without an amount. */
export function money(amount: Money | undefined): string {
  if (!amount?.currencyCode) return "";
  let format = currencies.get(amount.currencyCode);
  if (!format) {
    try {
      format = new Intl.NumberFormat(undefined, { style: "currency", currency: amount.currencyCode });
    } catch {
      format = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2 }); // no currency that this browser knows
    }
    currencies.set(amount.currencyCode, format);
  }
  const sign = amount.units < 0n || amount.nanos < 0 ? "-" : "";
  const units = amount.units < 0n ? -amount.units : amount.units;
  const nanos = String(Math.abs(amount.nanos)).padStart(9, "0");
  return format.format(`${sign}${units}.${nanos}` as unknown as number);
}

export function time(stamp: Timestamp | undefined): string {
  return stamp ? times.format(timestampDate(stamp)) : "";
}

export function timeOfDay(stamp: Timestamp | undefined): string {
  return stamp ? clock.format(timestampDate(stamp)) : "";
}

/** Such as `3 min. ago`. */
export function ago(stamp: Timestamp | undefined, now = Date.now()): string {
  if (!stamp) return "";
  const seconds = (timestampDate(stamp).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(Math.round(seconds), "second");
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

/** Such as `4:05`, for what counts down; empty when it is over. */
export function countdown(stamp: Timestamp, now: number): string {
  const seconds = Math.ceil((timestampDate(stamp).getTime() - now) / 1000);
  if (seconds <= 0) return "";
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Quoted for a shell where it has to be. */
export function shell(...words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}
