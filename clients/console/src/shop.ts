/** The client, and signing in and out. */

import { Code, Stockward, StockwardError, auth } from "@stockward/client";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Session } from "./streams/protocol";
import { tab } from "./streams/tab";

const SESSION_MS = 8 * 3600_000;

/** Every call of a page; it presents the session of the moment. */
export const shop = new Stockward(location.origin, () => tab.session?.secret ?? "");

/** Exchanges an API key or the secret of a link for a session; a token is used as it is, since it ends by itself. */
export async function signIn(secret: string): Promise<void> {
  const client = new Stockward(location.origin, secret);
  try {
    const made = await client.sessions.createSession({ ttl: durationFromMs(SESSION_MS) });
    const key = made.session!;
    tab.use({ secret: made.secret, name: key.name, role: key.role, keyId: key.keyId, ends: ending(key.expireTime) });
  } catch (cause) {
    if (StockwardError.from(cause).reason !== "SESSION_NEEDS_KEY") throw cause;
    const me = await client.sessions.whoAmI({});
    tab.use({ secret, name: me.name, role: me.role, keyId: "", ends: ending(me.expireTime) });
  }
}

/** Ends the session on the server, and forgets it in every tab. */
export async function signOut(): Promise<void> {
  const { session } = tab;
  try {
    if (session?.keyId) await shop.sessions.endSession({ keyId: session.keyId });
  } finally {
    tab.use(null);
  }
}

/** Forgets a session that the server no longer knows. */
export function endedBy(cause: unknown): boolean {
  const error = StockwardError.from(cause);
  const ended = error.code === Code.Unauthenticated;
  if (ended && tab.session) tab.use(null);
  return ended;
}

export function mayChange(session: Session | null): boolean {
  return session?.role === auth.Role.PMS || session?.role === auth.Role.ADMIN;
}

/** Takes the secret of a link out of the address, at once and without an entry in the history. */
export function takeLink(): string {
  const found = /^#link=(.+)$/.exec(location.hash);
  if (found) history.replaceState(null, "", location.pathname + location.search);
  return found?.[1] ?? "";
}

function ending(time: Parameters<typeof timestampMs>[0] | undefined): number | undefined {
  return time && timestampMs(time);
}
