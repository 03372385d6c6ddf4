import { SegmentedControl, Text, TextInput } from "@mantine/core";
import { StockwardError } from "@stockward/client";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";
import { NEWEST_ORDERS, isOpen, orderRows, rowOf, useOrders } from "../data";
import type { OrderRow } from "../data";
import { ago, money, number, time } from "../format";
import { useRow } from "../live";
import { Empty, Failed, Page, Waiting, useSettled } from "../parts/basics";
import { OrderState, PaymentState, Tag } from "../parts/states";
import { shop } from "../shop";
import { t } from "../texts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SHOWN = 200;
const COLUMNS = [1, 2, 3, 4];

type Which = "open" | "all";
type Shape = "list" | "board";

export default function Orders(): ReactNode {
  const [text, setText] = useState("");
  const [which, setWhich] = useState<Which>("open");
  const [shape, setShape] = useState<Shape>("list");
  const search = useSettled(text.trim());
  const orders = useOrders();
  const found = useQuery({ queryKey: ["order search", search], queryFn: () => findOrders(search), enabled: search !== "" });
  const keys = useKeys(which === "open", shape === "board");
  const shown = search ? (found.data ?? []) : keys.slice(0, SHOWN);
  const isReading = search ? found.isPending : orders.isPending;
  return (
    <Page title={t.orders.title}>
      <div className="bar">
        <TextInput className="grow" aria-label={t.orders.search} placeholder={t.orders.search} type="search" value={text} onChange={(event) => setText(event.currentTarget.value)} />
        <SegmentedControl aria-label={t.orders.state} value={which} onChange={(value) => setWhich(value as Which)} data={[{ value: "open", label: t.orders.open }, { value: "all", label: t.orders.all }]} />
        <SegmentedControl aria-label={t.orders.title} value={shape} onChange={(value) => setShape(value as Shape)} data={[{ value: "list", label: t.orders.list }, { value: "board", label: t.orders.board }]} />
      </div>
      {orders.isError && <Failed error={orders.error} again={() => void orders.refetch()} />}
      {found.isError && <Failed error={found.error} again={() => void found.refetch()} />}
      {isReading && <Waiting />}
      {!isReading && shown.length === 0 && <Empty>{t.orders.empty}</Empty>}
      {shown.length > 0 && (shape === "list" ? <List keys={shown} /> : <Board keys={shown} />)}
      {!search && keys.length > shown.length && <Text size="sm" className="dim">{t.orders.newest(shown.length)}</Text>}
      {!search && orders.data && orderRows.keys.length >= NEWEST_ORDERS && keys.length <= shown.length && (
        <Text size="sm" className="dim">{t.orders.newest(keys.length)}</Text>
      )}
    </Page>
  );
}

/** Looks for an id, a reference and a SKU; what is found joins the rows that are kept current. */
async function findOrders(text: string): Promise<readonly string[]> {
  if (UUID.test(text)) {
    try {
      const one = await shop.orders.getOrder({ orderId: text });
      orderRows.put([[one.orderId, rowOf(one)]]);
      return [one.orderId];
    } catch (cause) {
      if (StockwardError.from(cause).reason === "ORDER_NOT_FOUND") return [];
      throw cause;
    }
  }
  const lists = [shop.orders.listOrders({ reference: text, pageSize: 100 })];
  if (text.length <= 64) lists.push(shop.orders.listOrders({ sku: text, pageSize: 100 }));
  const pages = await Promise.allSettled(lists);
  const orders = pages.flatMap((page) => (page.status === "fulfilled" ? page.value.orders : []));
  if (pages[0]!.status === "rejected") throw pages[0]!.reason;
  orderRows.put(orders.map((each) => [each.orderId, rowOf(each)]));
  return [...new Set(orders.map((each) => each.orderId))];
}

/** Ids by time, newest first: they sort by it. */
function useKeys(onlyOpen: boolean, withFulfilled: boolean): readonly string[] {
  const [version, setVersion] = useState(0);
  useEffect(() => orderRows.watchList(() => setVersion((each) => each + 1)), []);
  const all = useSyncExternalStore((watcher) => orderRows.watchList(watcher), () => orderRows.keys);
  return useMemo(() => {
    const wanted = (row: OrderRow): boolean => !onlyOpen || isOpen(row) || (withFulfilled && row.state === 4);
    return all.filter((key) => wanted(orderRows.get(key)!)).sort().reverse();
  }, [all, version, onlyOpen, withFulfilled]);
}

function List({ keys }: { keys: readonly string[] }): ReactNode {
  const { columns } = t.orders;
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t.orders.title}>
      <table className="table orders">
        <thead>
          <tr>
            <th>{columns.order}</th>
            <th>{columns.state}</th>
            <th>{columns.payment}</th>
            <th className="right wide">{columns.units}</th>
            <th className="right">{columns.total}</th>
            <th className="wide">{columns.customer}</th>
            <th className="right wide">{columns.updated}</th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => <Row key={key} id={key} />)}
        </tbody>
      </table>
    </div>
  );
}

function Row({ id }: { id: string }): ReactNode {
  const row = useRow(orderRows, id);
  if (!row) return null;
  return (
    <tr data-order={id}>
      <td><OrderLink row={row} /></td>
      <td><OrderState state={row.state} /> {row.held !== undefined && <Tag tone="bad">{t.orders.held(row.held)}</Tag>}</td>
      <td><PaymentState state={row.payment} /></td>
      <td className="right wide">{number(row.units)}</td>
      <td className="right">{money(row.net)}</td>
      <td className="wide">{row.customer}</td>
      <td className="right wide dim" title={time(row.updateTime)}>{ago(row.updateTime)}</td>
    </tr>
  );
}

function OrderLink({ row }: { row: OrderRow }): ReactNode {
  return (
    <Link className="cell-link" to="/orders/$orderId" params={{ orderId: row.orderId }}>
      {row.reference || `…${row.orderId.slice(-8)}`}
    </Link>
  );
}

function Board({ keys }: { keys: readonly string[] }): ReactNode {
  return (
    <div className="board" tabIndex={0} role="region" aria-label={t.orders.board}>
      {COLUMNS.map((state) => <BoardColumn key={state} state={state} keys={keys} />)}
    </div>
  );
}

function BoardColumn({ state, keys }: { state: number; keys: readonly string[] }): ReactNode {
  const here = keys.filter((key) => orderRows.get(key)?.state === state);
  return (
    <section className="panel" aria-label={t.orders.states[state]!}>
      <header className="panel-head"><OrderState state={state} /><span className="dim">{number(here.length)}</span></header>
      {here.map((key) => <Card key={key} id={key} />)}
    </section>
  );
}

function Card({ id }: { id: string }): ReactNode {
  const row = useRow(orderRows, id);
  if (!row) return null;
  return (
    <article className="card" data-order={id}>
      <div className="split"><OrderLink row={row} /><span>{money(row.net)}</span></div>
      <div className="split"><PaymentState state={row.payment} /><span className="dim">{ago(row.updateTime)}</span></div>
      {row.held !== undefined && <Tag tone="bad">{t.orders.held(row.held)}</Tag>}
    </article>
  );
}
