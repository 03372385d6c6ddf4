/** Every page of the console by the rules of accessibility; and many tabs on one stream. */

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { order } from "@stockward/client";
import type { auth } from "@stockward/client";
import type { Page } from "playwright-core";
import { WIDE, browser, close, goToStock, onHand, open, signedIn } from "./console.js";
import { receive, run, sell, shop, staff } from "./shop.js";

const PHONE = { width: 360, height: 740 };
const LOOKS = [
  ["light", "screen", WIDE],
  ["dark", "screen", WIDE],
  ["dark", "phone", PHONE],
  ["light", "phone", PHONE],
] as const;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A folder to put a picture of each page into, for people to look at. */
const { PICTURES } = process.env;
if (PICTURES) mkdirSync(PICTURES, { recursive: true });

after(async () => {
  await browser.close();
  shop.close();
  staff.close();
});

test("every page keeps the rules of accessibility, in both colours, on a screen and on a phone", async () => {
  const { sku } = await sell(4);
  const { orderId } = await shop.orders.createOrder({ lines: [{ sku, quantity: 1n }] });
  await staff.orders.holdOrder({ orderId, reason: order.Hold_Reason.ADDRESS, note: "The number of the house is missing" });
  const context = await open();
  const page = await signedIn(context);
  for (const path of ["Now", "Orders", "Stock", "Webhooks", "Events", `orders/${orderId}`, `skus/${sku}`]) {
    const [kind, one] = path.split("/");
    await page.setViewportSize(WIDE);
    await (one ? page.goto(`${run.edge}/console/${path}`) : page.getByRole("link", { name: path, exact: true }).click());
    await page.locator("h1", { hasText: one ? /./ : path }).waitFor();
    await page.locator(".mantine-Skeleton-root").first().waitFor({ state: "detached" });
    for (const [colorScheme, size, viewport] of LOOKS) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      const name = `${kind!.toLowerCase()}${one ? "-one" : ""}-${colorScheme}-${size}`;
      if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png` });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${name} is too wide`);
      if ((size === "phone") === (colorScheme === "dark")) assert.deepEqual(await violations(page), [], name);
    }
  }
  await close(context);
});

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE); // by the debugger, past the policy of the page
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
    return (await axe.run({ resultTypes: ["violations"] })).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
  });
}

test("eight tabs stay live on one stream, and are signed out together", async () => {
  const { sku } = await sell(1);
  const context = await open();
  const first = await signedIn(context);
  const tabs = [first];
  for (let more = 1; more < 8; more++) tabs.push(await context.newPage());
  await Promise.all(tabs.map((tab) => goToStock(tab, sku)));
  await Promise.all(tabs.map((tab) => onHand(tab, sku, 1)));
  await receive(sku, 4);
  await Promise.all(tabs.map((tab) => onHand(tab, sku, 5)));
  const sessions = await sessionsOf("pms");
  await first.getByRole("button", { name: "pms" }).click();
  await first.getByRole("menuitem", { name: "Sign out" }).click();
  await Promise.all(tabs.map((tab) => tab.getByLabel("API key or token").waitFor()));
  assert.equal((await sessionsOf("pms")).length, sessions.length - 1);
  await close(context);
});

async function sessionsOf(name: string): Promise<auth.Key[]> {
  const key = { headers: { authorization: `Bearer ${run.keys.admin}` } };
  const { keys } = await staff.keys.listKeys({ includeSessions: true, pageSize: 1000 }, key);
  return keys.filter((each) => each.sessionOf && each.name === name);
}
