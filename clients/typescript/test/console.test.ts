/** A day of staff in the console, by mouse; and the ways in. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { order } from "@stockward/client";
import { browser, close, goToStock, link, live, onHand, open, signedIn } from "./console.js";
import { newSku, receive, run, sell, shop, staff } from "./shop.js";

/** What a browser writes where the server refuses a sign-in on purpose. */
const REFUSED = /status of 40[01]/;

after(async () => {
  await browser.close();
  shop.close();
  staff.close();
});

test("a day of staff, by mouse", async () => {
  const { sku } = await sell(12);
  const context = await open();
  const page = await signedIn(context);
  assert.equal(page.url(), `${run.edge}/console/`); // the secret has left the address

  // Stock: a sale elsewhere shows at once; a count that is out of date is refused, then made again.
  await page.getByRole("link", { name: "Stock", exact: true }).click();
  await page.getByRole("searchbox").fill(sku);
  await onHand(page, sku, 12);
  await page.getByRole("button", { name: `Count ${sku}: 12` }).click();
  await receive(sku, 1);
  await page.getByLabel("Counted units on hand").fill("10");
  const dialog = page.getByRole("dialog");
  assert.match((await dialog.locator("pre").textContent())!, new RegExp(`stockward stock count ${sku} 10 --location main --expected 12 --request-id`));
  await dialog.getByRole("button", { name: `Count ${sku}` }).click();
  await dialog.getByText("You saw 12, now 13 are on hand").waitFor();
  await dialog.getByRole("button", { name: "Go on from 13" }).click();
  await dialog.getByRole("button", { name: `Count ${sku}` }).click();
  await dialog.waitFor({ state: "detached" });
  await onHand(page, sku, 10);

  // An order is placed and paid; staff see it come in, process it and send it.
  await page.getByRole("link", { name: "Orders", exact: true }).click();
  await live(page);
  const reference = newSku();
  const customer = { name: "<img src=x onerror=alert(1)>" };
  const placed = await shop.orders.createOrder({ lines: [{ sku, quantity: 3n }], reference, customer });
  const row = page.locator(`[data-order="${placed.orderId}"]`);
  await row.getByText("unpaid").waitFor();
  const payment = { provider: "bank", providerEventId: reference, paymentReference: reference, amount: placed.totals!.total! };
  await staff.orders.recordPayment({ orderId: placed.orderId, ...payment, kind: order.RecordPaymentRequest_Kind.CAPTURED });
  await row.getByText("paid", { exact: true }).waitFor();
  await row.getByRole("link").click();
  await page.getByText(customer.name).waitFor(); // as text
  await page.getByRole("button", { name: "Process" }).click();
  await dialog.getByRole("button", { name: "Process" }).click();
  await page.getByRole("button", { name: "Fulfil" }).click();
  await dialog.getByLabel(`Units of ${sku}`).fill("2");
  await dialog.getByLabel("Carrier").fill("DHL");
  await dialog.getByRole("button", { name: "Fulfil" }).click();
  await page.getByText("partly fulfilled").first().waitFor();
  await page.getByText(`2 × ${sku} (main)`).waitFor();
  assert.equal((await staff.orders.getOrder({ orderId: placed.orderId })).fulfillments[0]!.carrier, "DHL");

  // Why one unit cannot be sold: the order has it.
  await page.getByRole("link", { name: sku }).click();
  await page.getByText("7 can be sold").waitFor();
  await page.getByText("Proven:").waitFor();
  assert.equal(await page.locator("[data-bar=owed] .waterfall-value").textContent(), "−1");
  await page.locator("[data-bar=owed] a").click();
  await page.getByRole("button", { name: "Fulfil" }).waitFor();

  // What happens shows in the tail of events.
  await page.getByRole("link", { name: "Events", exact: true }).click();
  await receive(sku, 1);
  await page.locator('[data-event="stock.changed"] summary', { hasText: sku }).first().click();
  await page.getByLabel("Payload").getByText(`"sku": "${sku}"`).waitFor();

  await page.getByRole("button", { name: "pms" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByLabel("API key or token").waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]).includes("swk_")), false);
  await close(context);
});

test("an order is held with a reason and released, by keyboard", async () => {
  const { sku } = await sell(2);
  const { orderId } = await shop.orders.createOrder({ lines: [{ sku, quantity: 1n }] });
  const context = await open();
  const page = await signedIn(context);
  await page.goto(`${run.edge}/console/orders/${orderId}`);
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Hold", exact: true }).press("Enter");
  await dialog.getByLabel("Reason").selectOption({ label: "address" });
  await dialog.getByLabel("Note on the hold").fill("no house number");
  assert.match((await dialog.locator("pre").textContent())!, new RegExp(`stockward orders hold ${orderId} --reason address --note 'no house number' --etag .* --request-id`));
  await dialog.getByLabel("Note on the hold").press("Enter");
  await page.getByText("Held: address").waitFor();
  await page.getByText("Put on hold by pms: no house number").waitFor();
  assert.equal((await staff.orders.getOrder({ orderId })).hold?.reason, order.Hold_Reason.ADDRESS);
  assert.equal(await page.getByRole("button", { name: "Process" }).count(), 0);

  await page.getByRole("button", { name: "Release" }).press("Enter");
  assert.match((await dialog.locator("pre").textContent())!, new RegExp(`stockward orders release ${orderId} --etag .* --request-id`));
  await dialog.getByRole("button", { name: "Release" }).press("Enter");
  await page.getByText("Held: address").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Process" }).waitFor();
  assert.equal((await staff.orders.getOrder({ orderId })).hold, undefined);
  await close(context);
});

test("a viewer looks and has no buttons; a link is good once; a key signs in", async () => {
  const { sku } = await sell(2);
  const context = await open();
  const page = await context.newPage();
  const address = link("--role", "viewer");
  await page.goto(address);
  await page.getByText("your role is viewer").waitFor();
  await goToStock(page, sku);
  await page.locator(`[data-stock="${sku}@main"]`).waitFor();
  assert.equal(await page.locator(`[data-stock="${sku}@main"] button`).count(), 0);
  await close(context);

  const again = await open();
  const second = await again.newPage();
  await second.goto(address);
  await second.getByText("The link was used before").waitFor();
  await second.getByLabel("API key or token").fill(run.keys.pms);
  await second.getByRole("button", { name: "Sign in" }).click();
  await live(second);
  await close(again, REFUSED);
});

test("without a SharedWorker each tab has a stream of its own", async () => {
  const { sku } = await sell(3);
  const context = await open();
  await context.addInitScript("delete globalThis.SharedWorker");
  const page = await signedIn(context);
  await goToStock(page, sku);
  await onHand(page, sku, 3);
  await receive(sku, 1);
  await onHand(page, sku, 4);
  await close(context);
});
