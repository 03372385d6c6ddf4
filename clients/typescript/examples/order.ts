/** From a new product to the parcel: `node dist/examples/order.js` beside `.stockward/run.json`. */

import { readFileSync } from "node:fs";
import { inventory, order, Stockward } from "@stockward/client";

const { grpc, keys } = JSON.parse(readFileSync(".stockward/run.json", "utf8"));
const [staff, shop] = [new Stockward(grpc, keys.pms), new Stockward(grpc, keys.storefront)];
const [sku, reason, kind] = [`TEE-${Date.now()}`, inventory.AdjustmentReason.RECEIVED, order.RecordPaymentRequest_Kind.CAPTURED];
const tee = { title: "Tee", variants: [{ sku, price: { currencyCode: "EUR", units: 20n } }] };
await staff.catalog.publishProduct({ productId: (await staff.catalog.createProduct({ product: tee })).productId });
await staff.inventory.adjustStock({ sku, reason, change: { case: "delta", value: 10n } });
const { orderId, totals } = await shop.orders.createOrder({ lines: [{ sku, quantity: 2n }] });
await staff.orders.recordPayment({ orderId, kind, provider: "bank", providerEventId: orderId, amount: totals!.total });
await staff.orders.processOrder({ orderId });
console.log(order.Order_State[(await staff.orders.fulfillOrder({ orderId })).state], await shop.inventory.getAvailability({ sku }));
