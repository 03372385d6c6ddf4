/** States as coloured words; the word says it, the colour only helps. */

import { Badge } from "@mantine/core";
import type { ReactNode } from "react";
import { t } from "../texts";

type Tone = "good" | "wait" | "bad" | "busy" | "dim";

export function Tag({ tone, children }: { tone: Tone; children: ReactNode }): ReactNode {
  return (
    <Badge variant="default" radius="sm" className={`tag tag-${tone}`}>
      {children}
    </Badge>
  );
}

const ORDERS: Record<number, Tone> = { 1: "wait", 2: "busy", 3: "busy", 4: "good", 5: "dim", 6: "bad" };
const PAYMENTS: Record<number, Tone> = { 1: "wait", 2: "wait", 3: "wait", 4: "good", 5: "bad", 6: "dim", 7: "dim", 8: "dim", 9: "wait" };
const ALERTS: Record<number, Tone> = { 1: "wait", 2: "bad", 3: "bad" };

export function OrderState({ state }: { state: number }): ReactNode {
  return <Tag tone={ORDERS[state] ?? "dim"}>{t.orders.states[state] ?? String(state)}</Tag>;
}

export function PaymentState({ state }: { state: number | undefined }): ReactNode {
  return state ? <Tag tone={PAYMENTS[state] ?? "dim"}>{t.orders.payments[state] ?? String(state)}</Tag> : null;
}

export function AlertLevel({ level }: { level: number | undefined }): ReactNode {
  return level ? <Tag tone={ALERTS[level] ?? "dim"}>{t.stock.alerts[level] ?? String(level)}</Tag> : null;
}
