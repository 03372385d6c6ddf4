/** The page: what is for sale, how many there are at this moment, hold, order. */

import { rows, Stockward, StockwardError, watch } from "@stockward/client";
import type { catalog, Money } from "@stockward/client";

const { edge, key } = (await (await fetch("config.json")).json()) as { edge: string; key: string };
const shop = new Stockward(edge, key);
const say = (text: string): void => void (document.querySelector("[role=status]")!.textContent = text);

const stock = new Map<string, HTMLElement>();
for await (const product of rows(shop.catalog.listAvailableProducts, {})) {
  for (const variant of product.variants) show(product, variant);
}
if (stock.size > 0) {
  for await (const { availabilities, unknownSkus } of watch(shop.inventory.watchAvailability, { skus: [...stock.keys()] })) {
    for (const each of availabilities) stock.get(each.sku)!.textContent = leftOf(each);
    for (const sku of unknownSkus) stock.get(sku)!.textContent = "no longer for sale";
  }
}

function leftOf({ available, untracked }: { available: bigint; untracked: boolean }): string {
  return untracked ? "in stock" : `${available} left`;
}

function show({ title }: catalog.AvailableProduct, offered: catalog.AvailableVariant): void {
  const { sku, title: variant, price } = offered;
  const row = document.querySelector("tbody")!.insertRow();
  row.dataset.sku = sku;
  row.insertCell().textContent = [title, variant].filter(Boolean).join(", ");
  row.insertCell().textContent = priceOf(price!);
  const left = row.insertCell();
  left.className = "stock";
  left.textContent = leftOf(offered);
  stock.set(sku, left);

  let reservationId = "";
  const hold = button("Hold one", async () => {
    const held = await shop.inventory.reserveStock({ lines: [{ sku, quantity: 1n }] });
    reservationId = held.reservationId;
    [hold.disabled, order.disabled] = [true, false];
    say(`One ${title} is yours for a while.`);
  });
  const order = button("Order", async () => {
    const placed = await shop.orders.createOrder({ reservationId });
    [hold.disabled, order.disabled] = [false, true];
    say(`Order ${placed.orderId}: ${priceOf(placed.totals!.total!)}.`);
  });
  order.disabled = true;
  row.insertCell().append(hold, " ", order);
}

function button(label: string, act: () => Promise<void>): HTMLButtonElement {
  const made = document.createElement("button");
  made.textContent = label;
  made.onclick = () => {
    act().catch((error: unknown) => {
      say(error instanceof StockwardError ? `${error.message} (${error.reason})` : String(error));
    });
  };
  return made;
}

function priceOf({ currencyCode, units, nanos }: Money): string {
  return new Intl.NumberFormat("en", { style: "currency", currency: currencyCode }).format(Number(units) + nanos / 1e9);
}
