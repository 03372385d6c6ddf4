import { Button, Code, Text, TextInput } from "@mantine/core";
import { event as contract } from "@stockward/client";
import { toJsonString } from "@bufbuild/protobuf";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";
import { number, time, timeOfDay } from "../format";
import { Empty, Page } from "../parts/basics";
import { tab } from "../streams/tab";
import { t } from "../texts";

type Event = contract.Event;

/** Events that are kept. */
const KEPT = 500;

/** The newest events since the console was opened, newest first. */
let newest: readonly Event[] = [];
const watchers = new Set<() => void>();

tab.listen((events) => {
  newest = [...[...events].reverse(), ...newest].slice(0, KEPT);
  watchers.forEach((watcher) => watcher());
});

function useNewest(): readonly Event[] {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => newest,
  );
}

export default function Events(): ReactNode {
  const all = useNewest();
  const [paused, setPaused] = useState<readonly Event[]>();
  const [text, setText] = useState("");
  const [open, setOpen] = useState("");
  const shown = paused ?? all;
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const found = useMemo(() => shown.filter((each) => matches(each, wanted)), [shown, wanted]);
  const missed = paused ? all.findIndex((each) => each.eventId === paused[0]?.eventId) : 0;
  useEffect(() => setOpen(""), [wanted]);
  return (
    <Page title={t.events.title} aside={<Text size="sm" className="dim">{t.events.kept(number(KEPT))}</Text>}>
      <div className="bar">
        <TextInput className="grow" type="search" aria-label={t.events.filter} placeholder={t.events.filter} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        {paused && missed > 0 && <Text size="sm" className="dim" role="status">{t.events.waiting(missed)}</Text>}
        <Button variant="default" onClick={() => setPaused(paused ? undefined : all)}>{paused ? t.events.resume : t.events.pause}</Button>
      </div>
      {found.length === 0 && <Empty>{t.events.empty}</Empty>}
      <ul className="rows events">
        {found.slice(0, 200).map((each) => (
          <li key={each.eventId} data-event={each.type}>
            <details open={open === each.eventId} onToggle={(toggled) => toggled.currentTarget.open && setOpen(each.eventId)}>
              <summary>
                <span className="dim" title={time(each.time)}>{timeOfDay(each.time)}</span>
                <span className="strong">{each.type}</span>
                <span className="mono clip">{each.aggregateId}</span>
                <span className="dim end">{each.actor}</span>
              </summary>
              {open === each.eventId && <Payload event={each} />}
            </details>
          </li>
        ))}
      </ul>
    </Page>
  );
}

function matches(each: Event, text: string): boolean {
  return !text || [each.type, each.aggregateId, each.actor].some((part) => part.toLowerCase().includes(text));
}

function Payload({ event }: { event: Event }): ReactNode {
  const { case: kind, value } = event.data;
  return (
    <div className="stack">
      {kind === "order" && <Link className="cell-link" to="/orders/$orderId" params={{ orderId: value.orderId }}>{value.reference || value.orderId}</Link>}
      {kind === "stock" && <Link className="cell-link" to="/skus/$sku" params={{ sku: value.sku }}>{value.sku}</Link>}
      <Code block tabIndex={0} aria-label={t.events.payload}>{toJsonString(contract.EventSchema, event, { prettySpaces: 2 })}</Code>
    </div>
  );
}
