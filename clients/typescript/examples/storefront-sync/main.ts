/** `node dist/examples/storefront-sync/main.js` beside `.stockward/run.json`, with no storefront's webhook URL set. */

import { readFileSync } from "node:fs";
import { Stockward } from "@stockward/client";
import { StorefrontSync } from "./sync.js";

const CATCH_UP_MS = 10 * 60_000;

const run = JSON.parse(readFileSync(".stockward/run.json", "utf8")) as {
  grpc: string;
  keys: { storefront: string };
  webhook_secrets: { STOREFRONT_WEBHOOK_SECRET: string };
  webhooks: { storefront: string };
};
const shop = new Stockward(run.grpc, run.keys.storefront);
const sync = new StorefrontSync(shop, run.webhook_secrets.STOREFRONT_WEBHOOK_SECRET, "storefront.json");
await sync.catchUp();
const { hostname, port, origin } = new URL(run.webhooks.storefront);
sync.server().listen(Number(port), hostname, () => {
  console.log(`${sync.visible.length} products are visible, see ${origin}. Kept in storefront.json; Ctrl-C ends it.`);
});
setInterval(() => void sync.catchUp().catch(console.error), CATCH_UP_MS);
