/** Why stock cannot be sold: from what is on hand down to what is available, each bar made of its claims. */

import type { inventory } from "@stockward/client";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { number } from "../format";
import { t } from "../texts";

type Claim = inventory.ExplainAvailabilityResponse["claims"][number];

interface Bar {
  readonly label: string;
  readonly kind: "has" | "keeps" | "held" | "owed" | "left";
  /** Units, as they are written. */
  readonly value: bigint;
  readonly from: number;
  readonly to: number;
  readonly claims: readonly Claim[];
}

/** The most claims that a bar is split into; the others share its last part. */
const PARTS = 40;

export function bars(level: inventory.StockLevel, claims: readonly Claim[]): readonly Bar[] {
  const [hand, safety, held, owed] = [level.onHand, level.safetyStock, level.reserved, level.allocated].map(Number) as [number, number, number, number];
  const available = Number(level.available);
  const holds = claims.filter((claim) => claim.owner.case === "reservationId");
  const orders = claims.filter((claim) => claim.owner.case === "orderId");
  return [
    { label: t.sku.onHand, kind: "has", value: level.onHand, from: 0, to: hand, claims: [] },
    { label: t.sku.safety, kind: "keeps", value: -level.safetyStock, from: hand - safety, to: hand, claims: [] },
    { label: t.sku.reserved, kind: "held", value: -level.reserved, from: hand - safety - held, to: hand - safety, claims: holds },
    { label: t.sku.allocated, kind: "owed", value: -level.allocated, from: hand - safety - held - owed, to: hand - safety - held, claims: orders },
    { label: t.sku.available, kind: "left", value: level.available, from: Math.min(0, available), to: Math.max(0, available), claims: [] },
  ];
}

export function Waterfall({ level, claims }: { level: inventory.StockLevel; claims: readonly Claim[] }): ReactNode {
  const all = bars(level, claims);
  const least = Math.min(0, ...all.map((bar) => bar.from));
  const most = Math.max(1, ...all.map((bar) => bar.to));
  const at = (units: number): number => ((units - least) / (most - least)) * 100;
  return (
    <ol className="waterfall">
      {all.map((bar) => (
        <li key={bar.kind} data-bar={bar.kind}>
          <span className="waterfall-label">{bar.label}</span>
          <span className="waterfall-track">
            <span className="waterfall-zero" style={{ left: `${at(0)}%` }} />
            <span className={`waterfall-bar bar-${bar.kind}`} style={{ left: `${at(bar.from)}%`, width: `${at(bar.to) - at(bar.from)}%` }}>
              <Parts claims={bar.claims} />
            </span>
          </span>
          <span className="waterfall-value">{number(bar.value).replace("-", "−")}</span>
        </li>
      ))}
      {level.backorderLimit > 0n && <li className="dim">{t.sku.backorder(number(level.backorderLimit))}</li>}
    </ol>
  );
}

function Parts({ claims }: { claims: readonly Claim[] }): ReactNode {
  return claims.slice(0, PARTS).map((claim, index) => {
    const style = { flexGrow: Number(claim.quantity) };
    const key = `${claim.owner.value}:${index}`;
    if (claim.owner.case !== "orderId") return <span key={key} className="part" style={style} />;
    return (
      <Link key={key} className="part" style={style} to="/orders/$orderId" params={{ orderId: claim.owner.value }} aria-label={`${t.sku.order} …${claim.owner.value.slice(-8)}: ${number(claim.quantity)}`} />
    );
  });
}
