/** The storefront page in Chromium: gRPC-Web through the edge. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { order } from "@stockward/client";
import { chromium } from "playwright-core";
import { serve, urlOf } from "../examples/storefront/serve.js";
import { ordersOf, readRun, receive, run, sell, shop, staff, until } from "./shop.js";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];

const server = await serve(run.edge, run.keys.storefront, 0);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM!, headless: true, args: [...FLAGS, ...QUIET] });

after(async () => {
  await browser.close();
  server.close();
  shop.close();
  staff.close();
});

test("a page lists what is published, shows live stock, holds and orders", async () => {
  const { sku, product } = await sell(5);
  const page = await browser.newPage();
  const failures: Error[] = [];
  page.on("pageerror", (error) => failures.push(error));
  await page.goto(urlOf(server));
  const row = page.locator(`tr[data-sku="${sku}"]`);
  const stock = row.locator(".stock");
  const status = page.getByRole("status");
  const shows = (units: number) => until(async () => (await stock.textContent()) === `${units} left`);
  await shows(5);
  assert.equal(await row.locator("td").first().textContent(), product.title);
  assert.equal(await row.locator("td").nth(1).textContent(), "€12.50");

  // Somebody else orders two.
  await shop.orders.createOrder({ lines: [{ sku, quantity: 2n }] });
  await shows(3);

  await row.getByRole("button", { name: "Hold" }).click();
  await shows(2);
  await row.getByRole("button", { name: "Order" }).click();
  await until(async () => (await status.textContent())?.startsWith("Order "));
  const [, orderId] = /^Order (.*): €12.50\.$/.exec((await status.textContent())!)!;
  assert.ok((await ordersOf(sku)).includes(orderId!));
  assert.equal((await staff.orders.getOrder({ orderId: orderId! })).state, order.Order_State.PENDING);

  // The last ones go elsewhere.
  await shop.orders.createOrder({ lines: [{ sku, quantity: 2n }] });
  await shows(0);
  await row.getByRole("button", { name: "Hold" }).click();
  await until(async () => (await status.textContent()) === `${sku}: 1 wanted, 0 available (INSUFFICIENT_STOCK)`);

  // The page lives through the death of the server, and of the edge.
  process.kill(readRun().pids.server, "SIGKILL");
  await receive(sku, 7);
  await shows(7);
  process.kill(readRun().pids.edge, "SIGKILL");
  await receive(sku, 1);
  await shows(8);
  await row.getByRole("button", { name: "Hold" }).click();
  await shows(7);
  assert.deepEqual(failures, []);
});

test("the reference reads under its own content security policy", async () => {
  const page = await browser.newPage();
  const failures: string[] = [];
  page.on("pageerror", (error) => failures.push(String(error)));
  page.on("console", (message) => message.type() === "error" && failures.push(message.text()));
  const answer = await page.goto(`${run.edge}/docs`);
  const headers = answer!.headers();
  assert.match(headers["content-security-policy"]!, /^default-src 'none'; script-src 'sha256-.*frame-ancestors 'none'$/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  await page.getByRole("heading", { name: "Error reasons" }).waitFor();
  assert.equal(await page.locator("body").evaluate((body) => getComputedStyle(body).maxWidth), "960px");
  await page.getByRole("searchbox").fill("GetAvailability");
  await page.locator("summary", { hasText: "/api/storefront/stock/{sku}" }).click();
  assert.deepEqual(failures, []);
  // What the page does not bring along does not run.
  await page.evaluate(() => document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.title = 1'>"));
  assert.notEqual(await page.title(), "1");
  await until(() => failures.join().includes("Content Security Policy"));
});
