/** A product, its stock, and an order of it: `node dist/examples/order.js` beside `.stockward/run.json`. */

import { readFileSync } from "node:fs";
import { inventory, order, Stockward } from "@stockward/client";

const { grpc, keys } = JSON.parse(readFileSync(".stockward/run.json", "utf8"));
const [staff, shop] = [new Stockward(grpc, keys.pms), new Stockward(grpc, keys.storefront)];
const variant = { sku: `TEE-${Date.now()}`, price: { currencyCode: "EUR", units: 20n } };
const { productId } = await staff.catalog.createProduct({ product: { title: "Tee", variants: [variant] } });
await staff.catalog.publishProduct({ productId });
const change = { case: "delta", value: 10n } as const;
await staff.inventory.adjustStock({ sku: variant.sku, change, reason: inventory.AdjustmentReason.RECEIVED });
const { state } = await shop.orders.createOrder({ lines: [{ sku: variant.sku, quantity: 2n }] });
console.log(order.Order_State[state], await shop.inventory.getAvailability({ sku: variant.sku }));
