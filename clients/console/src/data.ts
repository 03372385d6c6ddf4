/** What the pages share: open orders and stock levels, read once and kept current by the events. */

import { inventory, order, pages } from "@stockward/client";
import type { event } from "@stockward/client";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { LiveRows } from "./live";
import { shop } from "./shop";
import { tab } from "./streams/tab";

/** An order as lists show it. */
export interface OrderRow {
  readonly version: bigint;
  readonly orderId: string;
  readonly reference: string;
  readonly state: order.Order_State;
  readonly payment: order.Payment_State | undefined;
  readonly customer: string;
  readonly units: bigint;
  readonly net: order.Totals["net"];
  readonly held: order.Hold_Reason | undefined;
  readonly updateTime: order.Order["updateTime"];
}

export type StockRow = inventory.StockLevel;

/** Orders that are read at first; what happens later is added. */
export const NEWEST_ORDERS = 500;

const OPEN = [order.Order_State.PENDING, order.Order_State.PROCESSING, order.Order_State.PARTIALLY_FULFILLED];

export const orderRows = new LiveRows<OrderRow>();
export const stockRows = new LiveRows<StockRow>();

export const isOpen = (row: OrderRow): boolean => OPEN.includes(row.state);

export function rowOf(each: order.Order | order.OrderSnapshot): OrderRow {
  const customer = "customer" in each ? each.customer?.name || each.customer?.email || each.customer?.customerId : undefined;
  return {
    version: each.version,
    orderId: each.orderId,
    reference: each.reference,
    state: each.state,
    payment: each.payment?.state,
    customer: customer ?? ("customerId" in each ? each.customerId : "") ?? orderRows.get(each.orderId)?.customer ?? "",
    units: each.lines.reduce((sum, line) => sum + line.quantity - line.cancelled, 0n),
    net: each.totals?.net ?? each.totals?.total,
    held: each.hold?.reason,
    updateTime: each.updateTime,
  };
}

export const stockKey = (level: { sku: string; locationId: string }): string => `${level.sku}@${level.locationId}`;

/** The level after an event of stock. The policy's etag is left out: an event has none. */
function levelOf(each: event.Event, stock: event.StockEvent): StockRow {
  const known = stockRows.get(stockKey(stock));
  return {
    ...known,
    $typeName: "stockward.inventory.v1.StockLevel",
    sku: stock.sku,
    locationId: stock.locationId,
    onHand: stock.onHand,
    reserved: stock.reserved,
    allocated: stock.allocated,
    safetyStock: stock.safetyStock,
    available: stock.available,
    reorderPoint: stock.reorderPoint,
    backorderLimit: stock.backorderLimit ?? 0n,
    alertLevel: stock.alertLevel || undefined,
    overhang: stock.overhang,
    version: each.aggregateVersion,
    updateTime: each.time,
    policyEtag: "",
  };
}

tab.listen((events) => {
  const orders: [string, OrderRow][] = [];
  const levels: [string, StockRow][] = [];
  for (const each of events) {
    if (each.data.case === "order") orders.push([each.data.value.orderId, rowOf(each.data.value)]);
    if (each.data.case === "stock") levels.push([stockKey(each.data.value), levelOf(each, each.data.value)]);
  }
  if (orders.length > 0) orderRows.put(orders);
  if (levels.length > 0) stockRows.put(levels);
});

/** Reads the newest orders into `orderRows`, the open ones before the others. */
export function useOrders(): ReturnType<typeof useQuery<boolean>> {
  const query = useQuery({
    queryKey: ["orders"],
    queryFn: async () => {
      const [open, all] = await Promise.all([
        shop.orders.listOrders({ states: OPEN, pageSize: NEWEST_ORDERS }),
        shop.orders.listOrders({ pageSize: 100 }),
      ]);
      orderRows.put([...open.orders, ...all.orders].map((each) => [each.orderId, rowOf(each)]));
      return true;
    },
    staleTime: Infinity,
  });
  useReadAgain(query.refetch);
  return query;
}

/** Reads all stock levels into `stockRows`, page by page. */
export function useStock(): ReturnType<typeof useQuery<boolean>> {
  const query = useQuery({
    queryKey: ["stock"],
    queryFn: async () => {
      for await (const page of pages(shop.inventory.listStockLevels, { pageSize: 1000 })) {
        stockRows.put(page.stockLevels.map((each) => [stockKey(each), each]));
      }
      return true;
    },
    staleTime: Infinity,
  });
  useReadAgain(query.refetch);
  return query;
}

function useReadAgain(refetch: () => unknown): void {
  useEffect(() => tab.onReset(() => void refetch()), [refetch]);
}
