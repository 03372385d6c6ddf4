import { Button, NumberInput, Switch, Text, TextInput } from "@mantine/core";
import { inventory } from "@stockward/client";
import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useDeferredValue, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";
import { stockKey, stockRows, useStock } from "../data";
import type { StockRow } from "../data";
import { number } from "../format";
import { useRow } from "../live";
import { ActionDialog, Refusal } from "../parts/act";
import { Empty, Failed, Page, Prose } from "../parts/basics";
import { AlertLevel } from "../parts/states";
import { mayChange, shop } from "../shop";
import { useSession } from "../streams/tab";
import { t } from "../texts";

const ROW_PX = 40;

export default function Stock(): ReactNode {
  const stock = useStock();
  const [text, setText] = useState("");
  const [onlyAlerts, setOnlyAlerts] = useState(false);
  const [counting, setCounting] = useState<StockRow>();
  const keys = useKeys(useDeferredValue(text.trim().toLowerCase()), onlyAlerts);
  const all = useSyncExternalStore((watcher) => stockRows.watchList(watcher), () => stockRows.keys.length);
  const mayAct = mayChange(useSession());
  return (
    <Page
      title={t.stock.title}
      aside={
        <Text size="sm" className="dim" role="status">
          {stock.isPending ? t.stock.loadingRows(number(all)) : t.stock.rows(number(keys.length), number(all))}
        </Text>
      }
    >
      <div className="bar">
        <TextInput className="grow" type="search" aria-label={t.stock.filter} placeholder={t.stock.filter} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        <Switch label={t.stock.onlyAlerts} checked={onlyAlerts} onChange={(event) => setOnlyAlerts(event.currentTarget.checked)} />
      </div>
      {stock.isError && <Failed error={stock.error} again={() => void stock.refetch()} />}
      {stock.data && keys.length === 0 && <Empty><Prose text={t.stock.empty} /></Empty>}
      {keys.length > 0 && <Grid keys={keys} onCount={mayAct ? setCounting : undefined} />}
      {counting && <Count level={counting} onClose={() => setCounting(undefined)} />}
    </Page>
  );
}

/** Keys that the filters leave, by SKU. New rows come in by themselves. */
function useKeys(text: string, onlyAlerts: boolean): readonly string[] {
  const all = useSyncExternalStore((watcher) => stockRows.watchList(watcher), () => stockRows.keys);
  const sorted = useMemo(() => [...all].sort(), [all]);
  const [version, setVersion] = useState(0);
  useEffect(() => (onlyAlerts ? stockRows.watchList(() => setVersion((each) => each + 1)) : undefined), [onlyAlerts]);
  return useMemo(
    () => sorted.filter((key) => key.toLowerCase().includes(text) && (!onlyAlerts || stockRows.get(key)?.alertLevel)),
    [sorted, text, onlyAlerts, version],
  );
}

function Grid({ keys, onCount }: { keys: readonly string[]; onCount: ((row: StockRow) => void) | undefined }): ReactNode {
  const viewport = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: keys.length, getScrollElement: () => viewport.current, estimateSize: () => ROW_PX, overscan: 12 });
  const { columns } = t.stock;
  return (
    <div className="grid" ref={viewport} tabIndex={0} role="table" aria-label={t.stock.title} aria-rowcount={keys.length + 1}>
      <div className="grid-row grid-head" role="row" aria-rowindex={1}>
        <span role="columnheader">{columns.sku}</span>
        <span role="columnheader" className="wide">{columns.location}</span>
        <span role="columnheader" className="right">{columns.onHand}</span>
        <span role="columnheader" className="right">{columns.reserved}</span>
        <span role="columnheader" className="right">{columns.allocated}</span>
        <span role="columnheader" className="right wide">{columns.safety}</span>
        <span role="columnheader" className="right">{columns.available}</span>
        <span role="columnheader" className="wide">{columns.alert}</span>
      </div>
      <div className="grid-body" role="rowgroup" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => (
          <div key={keys[item.index]} className="grid-slot" role="presentation" style={{ transform: `translateY(${item.start}px)` }}>
            <Row id={keys[item.index]!} index={item.index} onCount={onCount} />
          </div>
        ))}
      </div>
    </div>
  );
}

const Row = memo(function Row({ id, index, onCount }: { id: string; index: number; onCount: ((row: StockRow) => void) | undefined }): ReactNode {
  const row = useRow(stockRows, id);
  if (!row) return null;
  return (
    <div className="grid-row" role="row" aria-rowindex={index + 2} data-stock={id}>
      <span role="cell"><Link className="cell-link" to="/skus/$sku" params={{ sku: row.sku }}>{row.sku}</Link></span>
      <span role="cell" className="wide dim">{row.locationId}</span>
      <span role="cell" className="right">
        {onCount ? (
          <button type="button" className="cell-button" aria-label={`${t.stock.count(row.sku)}: ${number(row.onHand)}`} onClick={() => onCount(row)}>
            <Live value={row.onHand} />
          </button>
        ) : (
          <Live value={row.onHand} />
        )}
      </span>
      <span role="cell" className="right"><Live value={row.reserved} /></span>
      <span role="cell" className="right"><Live value={row.allocated} /></span>
      <span role="cell" className="right wide">{number(row.safetyStock)}</span>
      <span role="cell" className="right strong"><Live value={row.available} /></span>
      <span role="cell" className="wide"><AlertLevel level={row.alertLevel} /></span>
    </div>
  );
});

/** A number that lights up for a moment when it changes. */
const Live = memo(function Live({ value }: { value: bigint }): ReactNode {
  const first = useRef(value);
  return <span key={String(value)} className={value === first.current ? "" : "changed"}>{number(value)}</span>;
});

function Count({ level, onClose }: { level: StockRow; onClose: () => void }): ReactNode {
  const [saw, setSaw] = useState(level.onHand);
  const [counted, setCounted] = useState(Number(level.onHand));
  const [note, setNote] = useState("");
  const { sku, locationId } = level;
  return (
    <ActionDialog
      onClose={onClose}
      action={{
        title: t.stock.count(sku),
        command: [
          ...["stock", "count", sku, String(counted), "--location", locationId, "--expected", String(saw)],
          ...(note ? ["--note", note] : []),
        ],
        run: async (requestId) => {
          const after = await shop.inventory.adjustStock({
            sku,
            locationId,
            change: { case: "onHand", value: BigInt(counted) },
            reason: inventory.AdjustmentReason.COUNTED,
            expectedOnHand: saw,
            note,
            requestId,
          });
          stockRows.put([[stockKey(after), after]]);
        },
        explain: (error) => {
          if (error.reason !== "STOCK_CHANGED") return <Refusal error={error} />;
          const now = error.metadata["on_hand"] ?? "?";
          return (
            <div className="stack">
              <Text size="sm">{t.stock.conflict(number(saw), now)}</Text>
              <Button size="xs" variant="default" onClick={() => setSaw(BigInt(now))}>{t.stock.goOn(now)}</Button>
            </div>
          );
        },
        fields: (
          <div className="stack">
            <NumberInput
              label={t.stock.counted}
              description={t.stock.saw(number(saw))}
              min={0}
              allowDecimal={false}
              value={counted}
              onChange={(value) => setCounted(Number(value) || 0)}
              data-autofocus
            />
            <TextInput label={t.stock.note} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
          </div>
        ),
      }}
    />
  );
}
