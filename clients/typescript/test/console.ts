/** The console in Chromium: a browser in which whatever goes wrong is a fault, and the way in. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";
import type { BrowserContext, Page } from "playwright-core";
import { run } from "./shop.js";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const WIDE = { width: 1280, height: 800 };

export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM!, headless: true, args: [...FLAGS, ...QUIET] });

const faults: string[] = [];

/** A browser of its own. Errors, violations of the policy and requests to elsewhere are faults. */
export async function open(viewport = WIDE): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport, locale: "en-GB" });
  context.on("page", (page) => {
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("request", (request) => new URL(request.url()).origin === run.edge || faults.push(request.url()));
  });
  return context;
}

/** Closes the browser of a test. Nothing has gone wrong in it but what was `expected`. */
export async function close(context: BrowserContext, expected = /^$/): Promise<void> {
  await context.close();
  assert.deepEqual(faults.splice(0).filter((each) => !expected.test(each)), []);
}

/** A link that signs in, once. */
export function link(...options: string[]): string {
  const words = ["-m", "stockward_server.cli", "console", "--print", ...options];
  return execFileSync(process.env.PYTHON!, words, { encoding: "utf8" }).trim();
}

export async function signedIn(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(link());
  await page.getByRole("heading", { name: "Now" }).waitFor();
  await live(page);
  return page;
}

/** Waits until the stream of events is there. */
export async function live(page: Page): Promise<void> {
  await page.locator(".stream-live").waitFor();
}

/** Goes to the stock of a SKU. */
export async function goToStock(page: Page, sku: string): Promise<void> {
  await page.goto(`${run.edge}/console/stock`);
  await page.getByRole("searchbox").fill(sku);
}

/** Waits until the page of stock shows so many units on hand. */
export async function onHand(page: Page, sku: string, units: number): Promise<void> {
  await page.locator(`[data-stock="${sku}@main"] button`, { hasText: new RegExp(`^${units}$`) }).waitFor();
}
