import { Button, Group, Text } from "@mantine/core";
import { webhook } from "@stockward/client";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ReactNode } from "react";
import { ago, time } from "../format";
import { ActionDialog } from "../parts/act";
import type { Action } from "../parts/act";
import { Empty, Failed, Page, Prose, Section, Waiting } from "../parts/basics";
import { Tag } from "../parts/states";
import { mayChange, shop } from "../shop";
import { useSession } from "../streams/tab";
import { t } from "../texts";

const REFRESH_MS = 3000;
const MONTH_MS = 30 * 86_400_000;
const { PENDING, DEAD } = webhook.Delivery_State;

/** Deliveries of one aggregate, oldest first: the head is tried, the others wait for it. */
interface Lane {
  readonly head: webhook.Delivery;
  readonly behind: number;
}

export default function Webhooks(): ReactNode {
  const endpoints = useQuery({ queryKey: ["endpoints"], queryFn: () => shop.webhooks.listEndpoints({ pageSize: 100 }), refetchInterval: REFRESH_MS });
  const [action, setAction] = useState<Action>();
  return (
    <Page title={t.webhooks.title}>
      {endpoints.isError && <Failed error={endpoints.error} again={() => void endpoints.refetch()} />}
      {endpoints.isPending && <Waiting />}
      {endpoints.data?.endpoints.length === 0 && <Empty><Prose text={t.webhooks.empty} /></Empty>}
      {endpoints.data?.endpoints.map((each) => <Endpoint key={each.endpointId} endpoint={each} onAct={setAction} />)}
      {action && <ActionDialog action={action} onClose={() => setAction(undefined)} />}
    </Page>
  );
}

function Endpoint({ endpoint, onAct }: { endpoint: webhook.Endpoint; onAct: (action: Action) => void }): ReactNode {
  const { endpointId } = endpoint;
  const waiting = useDeliveries(endpointId, PENDING);
  const dead = useDeliveries(endpointId, DEAD);
  const mayAct = mayChange(useSession());
  const isEnabled = endpoint.state === webhook.Endpoint_State.ENABLED;
  const recover: Action = {
    title: t.webhooks.recover,
    command: ["deliveries", "recover", endpointId, "--since", new Date(Date.now() - MONTH_MS).toISOString().slice(0, 10)],
    fields: <Text size="sm">{t.webhooks.askRecover}</Text>,
    run: async (requestId) => {
      const startTime = timestampFromMs(Math.floor((Date.now() - MONTH_MS) / 86_400_000) * 86_400_000);
      let { nextCursor } = await shop.webhooks.recoverDeliveries({ endpointId, startTime, requestId });
      while (nextCursor) ({ nextCursor } = await shop.webhooks.recoverDeliveries({ endpointId, startTime, cursor: nextCursor }));
      await Promise.all([waiting.refetch(), dead.refetch()]);
    },
  };
  return (
    <Section
      title={endpoint.description || endpoint.url}
      aside={
        <Group gap="xs">
          <Tag tone={isEnabled ? "good" : "bad"}>{isEnabled ? t.webhooks.enabled : t.webhooks.disabled}</Tag>
          {endpoint.failingSince && <Tag tone="bad">{t.webhooks.failing(time(endpoint.failingSince))}</Tag>}
        </Group>
      }
    >
      <Text size="sm" className="mono clip">{endpoint.url}</Text>
      <Text size="sm" className="dim">{`${t.webhooks.types}: ${endpoint.types.join(", ") || t.webhooks.everything}`}</Text>
      {endpoint.disableReason && <Text size="sm" className="bad">{endpoint.disableReason}</Text>}
      <div className="columns">
        <Deliveries title={t.webhooks.lanes} empty={t.webhooks.noLanes} query={waiting} onAct={mayAct ? onAct : undefined} />
        <Deliveries
          title={t.webhooks.dead}
          empty={t.webhooks.noDead}
          query={dead}
          onAct={mayAct ? onAct : undefined}
          aside={mayAct && (dead.data?.length ?? 0) > 0 && <Button size="compact-sm" variant="default" onClick={() => onAct(recover)}>{t.webhooks.recover}</Button>}
        />
      </div>
    </Section>
  );
}

function useDeliveries(endpointId: string, state: webhook.Delivery_State): ReturnType<typeof useQuery<readonly Lane[]>> {
  return useQuery({
    queryKey: ["deliveries", endpointId, state],
    queryFn: async () => {
      const { deliveries } = await shop.webhooks.listDeliveries({ endpointId, states: [state], pageSize: 200 });
      return state === DEAD ? deliveries.map((head) => ({ head, behind: 0 })) : lanes(deliveries);
    },
    refetchInterval: REFRESH_MS,
  });
}

/** Events have their ids from the time, so an aggregate's oldest delivery has the lowest. */
export function lanes(deliveries: readonly webhook.Delivery[]): readonly Lane[] {
  const found = new Map<string, { head: webhook.Delivery; behind: number }>();
  for (const each of [...deliveries].sort((a, b) => (a.eventId < b.eventId ? -1 : 1))) {
    const lane = found.get(each.aggregateId);
    if (lane) lane.behind++;
    else found.set(each.aggregateId, { head: each, behind: 0 });
  }
  return [...found.values()].sort((a, b) => b.head.attemptCount - a.head.attemptCount || b.behind - a.behind);
}

interface DeliveriesProps {
  title: string;
  empty: string;
  query: ReturnType<typeof useDeliveries>;
  onAct: ((action: Action) => void) | undefined;
  aside?: ReactNode;
}

function Deliveries({ title, empty, query, onAct, aside }: DeliveriesProps): ReactNode {
  return (
    <div className="sub">
      <div className="split"><Text fw={600} size="sm">{title}</Text>{aside}</div>
      {query.isError && <Failed error={query.error} again={() => void query.refetch()} />}
      {query.isPending && <Waiting />}
      {query.data?.length === 0 && <Empty>{empty}</Empty>}
      <ul className="rows">
        {query.data?.map(({ head, behind }) => (
          <li key={head.eventId} data-delivery={head.eventId}>
            <div className="grow">
              <Text size="sm"><span className="strong">{head.type}</span> <span className="mono">{short(head.aggregateId)}</span></Text>
              <Text size="sm" className="dim">{describe(head, behind)}</Text>
            </div>
            {onAct && (
              <Group gap="xs" wrap="nowrap">
                <Button size="compact-sm" variant="default" onClick={() => onAct(retry(head, query.refetch))}>{t.webhooks.retry}</Button>
                {head.state === PENDING && <Button size="compact-sm" variant="default" onClick={() => onAct(skip(head, behind, query.refetch))}>{t.webhooks.skip}</Button>}
              </Group>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

function describe(head: webhook.Delivery, behind: number): string {
  const last = head.attempts.at(-1);
  return [
    head.attemptCount > 0 ? t.webhooks.attempts(head.attemptCount) : "",
    last ? last.error || `HTTP ${last.status}` : "",
    head.state === PENDING && head.attemptCount > 0 ? t.webhooks.next(ago(head.dueTime)) : "",
    behind > 0 ? t.webhooks.waits(behind) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

function retry({ endpointId, eventId }: webhook.Delivery, refetch: () => Promise<unknown>): Action {
  return {
    title: t.webhooks.retry,
    command: ["deliveries", "retry", endpointId, eventId],
    fields: <Text size="sm">{t.webhooks.askRetry}</Text>,
    run: async (requestId) => {
      await shop.webhooks.retryDelivery({ endpointId, eventId, requestId });
      await refetch();
    },
  };
}

function skip({ endpointId, eventId }: webhook.Delivery, behind: number, refetch: () => Promise<unknown>): Action {
  return {
    title: t.webhooks.skip,
    danger: true,
    command: ["deliveries", "skip", endpointId, eventId],
    fields: (
      <div className="stack">
        <Text size="sm">{t.webhooks.askSkip}</Text>
        <Text size="sm">{t.webhooks.skipReleases(behind)}</Text>
      </div>
    ),
    run: async (requestId) => {
      await shop.webhooks.skipDelivery({ endpointId, eventId, requestId });
      await refetch();
    },
  };
}

function short(id: string): string {
  return id.length > 30 ? `…${id.slice(-8)}` : id;
}

