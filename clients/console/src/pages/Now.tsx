import { Anchor, Group, Text } from "@mantine/core";
import { status as contract } from "@stockward/client";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";
import { isOpen, orderRows, useOrders } from "../data";
import { ago, number } from "../format";
import { Empty, Failed, Page, Prose, Section, Waiting } from "../parts/basics";
import { Sparkline } from "../parts/sparkline";
import { AlertLevel, Tag } from "../parts/states";
import { shop } from "../shop";
import { tab, useEvents } from "../streams/tab";
import { t } from "../texts";

const REFRESH_MS = 5000;
const SECONDS = 120;

export default function Now(): ReactNode {
  const status = useQuery({ queryKey: ["status"], queryFn: () => shop.status.getStatus({}), refetchInterval: REFRESH_MS });
  const alerts = useQuery({ queryKey: ["alerts"], queryFn: () => shop.inventory.listStockAlerts({ pageSize: 20 }) });
  useEvents(
    (events) => {
      if (events.some((each) => /^stock\.(low|depleted|recovered|shortfall)$/.test(each.type))) void alerts.refetch();
      if (events.length > 0) void status.refetch();
    },
    [alerts.refetch, status.refetch],
  );
  useEffect(() => tab.onReset(() => void alerts.refetch()), [alerts.refetch]);
  if (status.isError) return <Page title={t.now.title}><Failed error={status.error} again={() => void status.refetch()} /></Page>;
  return (
    <Page title={t.now.title} aside={status.data && <Text size="sm" className="dim">{t.now.version(status.data.serverVersion)}</Text>}>
      {status.data ? <Counts status={status.data} /> : <Waiting />}
      <div className="columns">
        <Section title={t.now.rates}><Rates /></Section>
        <Section title={t.now.checks}>{status.data ? <Checks findings={status.data.findings} /> : <Waiting />}</Section>
        <Section title={t.now.newest}>
          {alerts.isError && <Failed error={alerts.error} again={() => void alerts.refetch()} />}
          {alerts.isPending && <Waiting />}
          {alerts.data?.alerts.length === 0 && <Empty>{t.now.noAlerts}</Empty>}
          <ul className="rows">
            {alerts.data?.alerts.map((each) => (
              <li key={String(each.alertId)}>
                <Link className="cell-link" to="/skus/$sku" params={{ sku: each.sku }}>{each.sku}</Link>
                <AlertLevel level={each.level} />
                <span className="dim end">{ago(each.raiseTime)}</span>
              </li>
            ))}
          </ul>
        </Section>
      </div>
    </Page>
  );
}

function Counts({ status }: { status: contract.GetStatusResponse }): ReactNode {
  const orders = useOrders();
  const counts = useOrderCounts();
  const { backlog, openWork } = status;
  if (!backlog || !openWork) return null;
  return (
    <div className="tiles">
      <Tile label={t.now.pending} value={openWork.ordersPending} to="/orders" />
      <Tile label={t.now.processing} value={orders.data ? counts.processing : undefined} to="/orders" />
      <Tile label={t.now.partial} value={orders.data ? counts.partial : undefined} to="/orders" />
      <Tile label={t.now.holds} value={openWork.reservationsActive} to="/stock" />
      <Tile label={t.now.lateHolds} value={openWork.reservationsLate} to="/stock" bad={openWork.reservationsLate > 0n} />
      <Tile label={t.now.alerts} value={openWork.stockAlerts} to="/stock" bad={openWork.stockAlerts > 0n} />
      <Tile label={t.now.dead} value={backlog.deliveriesDead} to="/webhooks" bad={backlog.deliveriesDead > 0n} />
      <Tile label={t.now.deliveries} value={backlog.deliveriesPending} note={t.now.age(backlog.deliveriesAgeSeconds)} to="/webhooks" />
      <Tile label={t.now.outbox} value={backlog.outboxPending} note={t.now.age(backlog.outboxAgeSeconds)} to="/events" />
    </div>
  );
}

function Tile({ label, value, note, to, bad = false }: { label: string; value: bigint | number | undefined; note?: string; to: string; bad?: boolean }): ReactNode {
  return (
    <Link to={to} className={bad ? "tile tile-bad" : "tile"}>
      <span className="tile-value">{value === undefined ? "…" : number(value)}</span>
      <span className="tile-label">{label}</span>
      {note !== undefined && Number(value) > 0 && <span className="tile-note">{note}</span>}
    </Link>
  );
}

let counted = { keys: "", processing: 0, partial: 0 };

function useOrderCounts(): { processing: number; partial: number } {
  return useSyncExternalStore((watcher) => orderRows.watchList(watcher), () => {
    let [processing, partial] = [0, 0];
    for (const key of orderRows.keys) {
      const row = orderRows.get(key)!;
      if (!isOpen(row)) continue;
      if (row.state === 2) processing++;
      if (row.state === 3) partial++;
    }
    const keys = `${processing} ${partial}`;
    if (keys !== counted.keys) counted = { keys, processing, partial };
    return counted;
  });
}

const VERDICTS = { 0: "dim", 1: "good", 2: "wait", 3: "bad" } as const;

function Checks({ findings }: { findings: readonly contract.Finding[] }): ReactNode {
  const wrong = findings.filter((each) => each.verdict !== contract.Finding_Verdict.OK);
  const rest = findings.filter((each) => each.verdict === contract.Finding_Verdict.OK);
  return (
    <>
      {wrong.length === 0 && <Empty>{t.now.allWell}</Empty>}
      <ul className="rows">
        {[...wrong, ...rest].map((each) => (
          <li key={each.check} className="check">
            <Tag tone={VERDICTS[each.verdict]}>{each.check}</Tag>
            <div>
              <Text size="sm">{each.found}</Text>
              {each.nextStep && <Text size="sm" className="dim"><Prose text={each.nextStep} /></Text>}
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Events of each second, by aggregate type. They are counted since the page was loaded. */
const rates = new Map<string, number[]>();
let second = Math.floor(Date.now() / 1000);

function advance(): void {
  const now = Math.floor(Date.now() / 1000);
  for (const counts of rates.values()) {
    counts.push(...new Array<number>(Math.min(SECONDS, now - second)).fill(0));
    counts.splice(0, counts.length - SECONDS);
  }
  second = now;
}

tab.listen((events) => {
  advance();
  for (const each of events) {
    if (!rates.has(each.aggregateType)) rates.set(each.aggregateType, new Array<number>(SECONDS).fill(0));
    rates.get(each.aggregateType)![SECONDS - 1]! += 1;
  }
});

function Rates(): ReactNode {
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  advance();
  const busy = [...rates].filter(([, counts]) => counts.some(Boolean));
  if (busy.length === 0) return <Empty>{t.now.quiet}</Empty>;
  return (
    <ul className="rows">
      {busy.map(([type, counts]) => (
        <li key={type}>
          <Group justify="space-between" className="grow">
            <Anchor component={Link} to="/events" size="sm">{type}</Anchor>
            <Text size="sm" className="dim">{t.now.rate(number(counts.slice(-10).reduce((a, b) => a + b, 0) / 10))}</Text>
          </Group>
          <Sparkline values={counts} label={type} />
        </li>
      ))}
    </ul>
  );
}
