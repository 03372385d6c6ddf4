import { Button, Group, NativeSelect, NumberInput, Text, TextInput } from "@mantine/core";
import { StockwardError } from "@stockward/client";
import type { Money, order as contract } from "@stockward/client";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import { orderRows, rowOf } from "../data";
import { money, number, time } from "../format";
import { ActionDialog, Refusal } from "../parts/act";
import { Empty, Failed, Page, Section, Waiting } from "../parts/basics";
import { OrderState, PaymentState, Tag } from "../parts/states";
import { mayChange, shop } from "../shop";
import { tab, useEvents, useSession } from "../streams/tab";
import { t } from "../texts";

type Order = contract.Order;
type Verb = keyof typeof t.orders.actions;

export default function OrderPage(): ReactNode {
  const { orderId } = useParams({ from: "/orders/$orderId" });
  const query = useQuery({ queryKey: ["order", orderId], queryFn: () => shop.orders.getOrder({ orderId }) });
  const [verb, setVerb] = useState<Verb>();
  useEvents(
    (events) => {
      if (events.some((each) => each.aggregateType === "order" && each.aggregateId === orderId)) void query.refetch();
    },
    [orderId, query.refetch],
  );
  useEffect(() => tab.onReset(() => void query.refetch()), [query.refetch]);
  const order = query.data;
  return (
    <Page
      title={order?.reference || `…${orderId.slice(-8)}`}
      aside={<Link className="cell-link" to="/orders">{t.orders.backToList}</Link>}
    >
      {query.isError && <Failed error={query.error} again={() => void query.refetch()} />}
      {query.isPending && <Waiting />}
      {order && <Detail order={order} onAct={setVerb} />}
      {order && verb && (
        <Act
          order={order}
          verb={verb}
          onClose={(done) => {
            setVerb(undefined);
            if (done) void query.refetch();
          }}
        />
      )}
    </Page>
  );
}

/** Units of a line that the verb may still take. */
function left(line: contract.OrderLine, verb: Verb): bigint {
  if (verb === "return") return line.fulfilled - line.returned;
  return line.quantity - line.cancelled - line.fulfilled;
}

function verbs(order: Order): readonly Verb[] {
  const some = (verb: Verb): boolean => order.lines.some((line) => left(line, verb) > 0n);
  const found: Verb[] = [];
  const isFree = !order.hold;
  if (order.hold?.actor) found.push("release"); // one for want of payment ends by a payment
  if (order.state === 1 && isFree) found.push("process");
  if (isFree && (order.state === 2 || order.state === 3) && some("fulfill")) found.push("fulfill");
  if (order.state <= 3 && some("cancel")) found.push("cancel");
  if ((order.state === 3 || order.state === 4) && some("return")) found.push("return");
  if (order.state <= 3 && !order.hold?.actor) found.push("hold");
  return found;
}

/** Verbs that take units of lines. */
const OF_UNITS: ReadonlySet<Verb> = new Set<Verb>(["fulfill", "cancel", "return"]);

/** The options of `stockward orders hold --reason`, by the number of the reason. */
const HOLD_WORDS: Record<number, string> = { 1: "payment", 2: "fraud", 3: "address", 4: "stock", 5: "customer", 6: "other" };

function Detail({ order, onAct }: { order: Order; onAct: (verb: Verb) => void }): ReactNode {
  const mayAct = mayChange(useSession());
  return (
    <>
      <div className="bar">
        <Group gap="xs" className="grow">
          <OrderState state={order.state} />
          <PaymentState state={order.payment?.state} />
          {order.hold && <Tag tone="bad">{t.orders.held(order.hold.reason)}</Tag>}
          <Text size="sm" className="dim mono">{order.orderId}</Text>
        </Group>
        {mayAct && (
          <Group gap="xs" role="group" aria-label={t.common.actions}>
            {verbs(order).map((verb, index) => (
              <Button key={verb} size="sm" variant={index === 0 && verb !== "cancel" ? "filled" : "default"} onClick={() => onAct(verb)}>
                {t.orders.actions[verb]}
              </Button>
            ))}
          </Group>
        )}
      </div>
      {order.hold?.actor && <Text size="sm">{t.orders.heldBy(order.hold.actor, order.hold.note)}</Text>}
      <Section title={t.orders.lines}><Lines order={order} /></Section>
      <div className="columns">
        <Section title={t.orders.money}><Sums order={order} /></Section>
        <Section title={t.orders.parcels}><Parcels order={order} /></Section>
        <Section title={t.orders.customer}><Customer customer={order.customer} /></Section>
        <Section title={t.orders.timeline}>
          <dl className="facts">
            <div><dt>{t.orders.created}</dt><dd>{time(order.createTime)}</dd></div>
            {order.fulfillments.map((each) => (
              <div key={each.fulfillmentId}><dt>{t.orders.parcel(each.carrier, each.trackingNumber)}</dt><dd>{time(each.createTime)}</dd></div>
            ))}
            <div><dt>{t.orders.changed}</dt><dd>{time(order.updateTime)}</dd></div>
          </dl>
        </Section>
      </div>
    </>
  );
}

function Lines({ order }: { order: Order }): ReactNode {
  const { line: names } = t.orders;
  return (
    <div className="scroll-x" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th>{names.sku}</th>
            <th>{names.title}</th>
            <th className="right">{names.price}</th>
            <th className="right">{names.ordered}</th>
            <th className="right">{names.shipped}</th>
            <th className="right">{names.cancelled}</th>
            <th className="right">{names.returned}</th>
          </tr>
        </thead>
        <tbody>
          {order.lines.map((line) => (
            <tr key={line.lineNumber}>
              <td><Link className="cell-link" to="/skus/$sku" params={{ sku: line.sku }}>{line.sku}</Link></td>
              <td>{line.title}</td>
              <td className="right">{money(line.unitPrice)}</td>
              <td className="right">{number(line.quantity)}</td>
              <td className="right">{number(line.fulfilled)}</td>
              <td className="right">{number(line.cancelled)}</td>
              <td className="right">{number(line.returned)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Sums({ order: { totals, payment } }: { order: Order }): ReactNode {
  const names = t.orders.totals;
  const sums = { ...totals, ...payment };
  const shown = (Object.keys(names) as (keyof typeof names)[]).filter((name) => ALWAYS.has(name) || !isZero(sums[name]));
  return (
    <dl className="facts">
      {shown.map((name) => (
        <div key={name}><dt>{names[name]}</dt><dd>{money(sums[name])}</dd></div>
      ))}
    </dl>
  );
}

/** Sums that are shown when they are zero, too. */
const ALWAYS: ReadonlySet<string> = new Set(["total", "net", "captured"]);

function isZero(amount: Money | undefined): boolean {
  return !amount || (amount.units === 0n && amount.nanos === 0);
}

function Parcels({ order }: { order: Order }): ReactNode {
  if (order.fulfillments.length === 0) return <Empty>{t.orders.noParcels}</Empty>;
  const skuOf = (lineNumber: number): string => order.lines.find((line) => line.lineNumber === lineNumber)?.sku ?? "?";
  return (
    <ul className="rows">
      {order.fulfillments.map((each) => (
        <li key={each.fulfillmentId}>
          <div className="grow">
            <Text size="sm">{t.orders.parcel(each.carrier, each.trackingNumber)}</Text>
            <Text size="sm" className="dim">
              {each.lines.map((line) => `${number(line.quantity)} × ${skuOf(line.lineNumber)}${line.locationId ? ` (${line.locationId})` : ""}`).join(", ")}
            </Text>
          </div>
          <span className="dim end">{time(each.createTime)}</span>
        </li>
      ))}
    </ul>
  );
}

function Customer({ customer }: { customer: contract.Customer | undefined }): ReactNode {
  if (!customer) return <Empty>{t.orders.noCustomer}</Empty>;
  const address = customer.shippingAddress;
  return (
    <div className="stack">
      {[customer.name, customer.email, customer.customerId].filter(Boolean).map((text) => <Text size="sm" key={text}>{text}</Text>)}
      {address && (
        <Text size="sm" className="dim">
          {[address.recipient, ...address.lines, `${address.postalCode} ${address.city}`.trim(), address.countryCode].filter(Boolean).join(", ")}
        </Text>
      )}
    </div>
  );
}

function Act({ order, verb, onClose }: { order: Order; verb: Verb; onClose: (done: boolean) => void }): ReactNode {
  const { orderId, etag } = useOpened(order);
  const [units, setUnits] = useState<Record<number, bigint>>(() =>
    Object.fromEntries(order.lines.filter((line) => left(line, verb) > 0n).map((line) => [line.lineNumber, left(line, verb)])),
  );
  const [carrier, setCarrier] = useState("");
  const [trackingNumber, setTracking] = useState("");
  const [reason, setReason] = useState("");
  const [holdReason, setHoldReason] = useState(6);
  const lines = Object.entries(units)
    .filter(([, quantity]) => quantity > 0n)
    .map(([lineNumber, quantity]) => ({ lineNumber: Number(lineNumber), quantity }));
  const isWhole = order.lines.every((line) => (units[line.lineNumber] ?? 0n) === left(line, verb));
  const some = isWhole && verb !== "return" ? [] : lines; // none named: all that remain
  const words = (OF_UNITS.has(verb) ? some : []).flatMap((line) => ["--line", `${line.lineNumber}=${line.quantity}`]);
  const option = (name: string, value: string): string[] => (value ? [name, value] : []);

  const run = async (requestId: string): Promise<void> => {
    const shared = { orderId, etag, requestId };
    const calls: Record<Verb, () => Promise<Order>> = {
      process: () => shop.orders.processOrder(shared),
      fulfill: () => shop.orders.fulfillOrder({ ...shared, lines: some, carrier, trackingNumber }),
      cancel: () => shop.orders.cancelOrder({ ...shared, lines: some, reason }),
      return: () => shop.orders.returnOrder({ ...shared, lines: some, reason }),
      hold: () => shop.orders.holdOrder({ ...shared, reason: holdReason, note: reason }),
      release: () => shop.orders.releaseOrder(shared),
    };
    const after = await calls[verb]();
    orderRows.put([[orderId, rowOf(after)]]);
  };
  const command = [
    "orders",
    verb,
    order.orderId,
    ...words,
    ...(verb === "fulfill" ? [...option("--carrier", carrier), ...option("--tracking", trackingNumber)] : []),
    ...(verb === "hold" ? ["--reason", HOLD_WORDS[holdReason] ?? "", ...option("--note", reason)] : option("--reason", reason)),
    ...option("--etag", etag),
  ];
  return (
    <ActionDialog
      onClose={onClose}
      action={{
        title: t.orders.actions[verb],
        command,
        run,
        danger: verb === "cancel",
        explain: (error: StockwardError) =>
          error.reason === "ETAG_MISMATCH" ? <Text size="sm">{t.orders.changedMeanwhile}</Text> : <Refusal error={error} />,
        fields: (
          <div className="stack">
            <Text size="sm">{t.orders.ask[verb]}</Text>
            {OF_UNITS.has(verb) &&
              order.lines
                .filter((line) => left(line, verb) > 0n)
                .map((line) => (
                  <NumberInput
                    key={line.lineNumber}
                    label={t.orders.ask.units(`${line.sku} ${line.title}`)}
                    min={0}
                    max={Number(left(line, verb))}
                    allowDecimal={false}
                    value={Number(units[line.lineNumber] ?? 0n)}
                    onChange={(value) => setUnits({ ...units, [line.lineNumber]: BigInt(Number(value) || 0) })}
                  />
                ))}
            {verb === "fulfill" && (
              <>
                <TextInput label={t.orders.ask.carrier} value={carrier} onChange={(event) => setCarrier(event.currentTarget.value)} />
                <TextInput label={t.orders.ask.tracking} value={trackingNumber} onChange={(event) => setTracking(event.currentTarget.value)} />
              </>
            )}
            {verb === "hold" && (
              <>
                <NativeSelect
                  label={t.orders.ask.reason}
                  value={holdReason}
                  data={Object.entries(t.orders.holds).map(([value, label]) => ({ value, label }))}
                  onChange={(event) => setHoldReason(Number(event.currentTarget.value))}
                />
                <TextInput label={t.orders.ask.holdNote} maxLength={500} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
              </>
            )}
            {(verb === "cancel" || verb === "return") && (
              <TextInput label={t.orders.ask.reason} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
            )}
          </div>
        ),
      }}
    />
  );
}

/** The order as it was when the dialog opened: a change meanwhile is refused, and not overlooked. */
function useOpened(order: Order): { orderId: string; etag: string } {
  const [opened] = useState({ orderId: order.orderId, etag: order.etag });
  return opened;
}
