/** What tabs and the hub of the streams say to each other. */

import type { event } from "@stockward/client";

/** Who is signed in, and the secret that each call presents. It lives in memory, and in the sessionStorage of a tab. */
export interface Session {
  readonly secret: string;
  readonly name: string;
  /** A number of auth.Role. */
  readonly role: number;
  /** Id of the session that the secret belongs to; empty for a token, which cannot be ended here. */
  readonly keyId: string;
  /** Milliseconds since 1970; undefined where it does not end. */
  readonly ends: number | undefined;
}

export interface StreamState {
  readonly kind: "off" | "connecting" | "live" | "behind" | "refused";
  /** Seconds that the newest event is late, for `behind`. */
  readonly seconds?: number;
  /** Why the server refuses the stream, for `refused`. */
  readonly message?: string;
}

export type ToHub =
  | { readonly kind: "hello"; readonly session: Session | null }
  | { readonly kind: "session"; readonly session: Session | null }
  | { readonly kind: "bye" };

export type FromHub =
  | { readonly kind: "session"; readonly session: Session | null }
  | { readonly kind: "state"; readonly state: StreamState }
  | { readonly kind: "events"; readonly events: readonly event.Event[] }
  /** Events may have been missed: what is shown has to be read again. */
  | { readonly kind: "reset" };
