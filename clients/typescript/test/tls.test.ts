/** TLS to a server that asks its clients for certificates; where all of it is stands in the environment. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { SecureClientSessionOptions } from "node:http2";
import { test } from "node:test";
import { Code, Stockward, StockwardError } from "@stockward/client";

const { ADDRESS, KEY } = process.env;
const [ca, strangeCa, cert, key] = ["CA", "STRANGE_CA", "CLIENT_CERT", "CLIENT_KEY"].map((name) =>
  readFileSync(process.env[name]!),
);

/** The locations of the shop, or the error in their place. */
async function ask(tls: SecureClientSessionOptions): Promise<unknown> {
  const staff = new Stockward(`https://${ADDRESS}`, KEY!, { tls, timeoutMs: 3000 });
  try {
    return (await staff.inventory.listLocations({})).locations;
  } catch (error) {
    return error;
  } finally {
    staff.close();
  }
}

test("a server whose root is known lets in who shows its certificate", async () => {
  const locations = await ask({ ca, cert, key });
  assert.ok(Array.isArray(locations), String(locations));
});

test("who shows none is not let in", async () => {
  const error = await ask({ ca });
  assert.ok(error instanceof StockwardError);
  assert.equal(error.code, Code.Unavailable);
});

test("a server that somebody else vouches for is not called", async () => {
  const error = await ask({ ca: strangeCa, cert, key });
  assert.ok(error instanceof StockwardError);
  assert.match(error.message, /certificate/);
});
