import { Text } from "@mantine/core";
import { StockwardError } from "@stockward/client";
import type { inventory } from "@stockward/client";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import type { ReactNode } from "react";
import { countdown, number, time } from "../format";
import { Empty, Failed, Page, Section, Waiting, useNow } from "../parts/basics";
import { Tag } from "../parts/states";
import { Waterfall } from "../parts/waterfall";
import { shop } from "../shop";
import { tab, useEvents } from "../streams/tab";
import { t } from "../texts";

type Explanation = inventory.ExplainAvailabilityResponse;

export default function Sku(): ReactNode {
  const { sku } = useParams({ from: "/skus/$sku" });
  const why = useQuery({ queryKey: ["explain", sku], queryFn: () => shop.inventory.explainAvailability({ sku }), retry: false });
  const moves = useQuery({ queryKey: ["moves", sku], queryFn: () => shop.inventory.listStockMovements({ sku, pageSize: 50 }) });
  const proof = useQuery({ queryKey: ["proof", sku], queryFn: () => shop.inventory.verifyStock({ sku }), enabled: why.isSuccess });
  const readAgain = (): void => void Promise.all([why.refetch(), moves.refetch(), proof.refetch()]);
  useEvents(
    (events) => {
      if (events.some((each) => each.data.case === "stock" && each.data.value.sku === sku)) readAgain();
    },
    [sku],
  );
  useEffect(() => tab.onReset(readAgain), [sku]);
  const isUnknown = why.isError && StockwardError.from(why.error).reason === "SKU_UNKNOWN";
  return (
    <Page title={t.sku.title(sku)} aside={proof.data && <Proof proof={proof.data} />}>
      {isUnknown && <Empty>{t.sku.unknown(sku)}</Empty>}
      {why.isError && !isUnknown && <Failed error={why.error} again={readAgain} />}
      {why.isPending && <Waiting />}
      {why.data && <Why explanation={why.data} />}
      {!isUnknown && (
        <Section title={t.sku.movements}>
          {moves.isPending && <Waiting />}
          {moves.data && <Movements movements={moves.data.movements} />}
        </Section>
      )}
    </Page>
  );
}

function Proof({ proof }: { proof: inventory.VerifyStockResponse }): ReactNode {
  const wrong = proof.discrepancies.length;
  return <Tag tone={wrong ? "bad" : "good"}>{wrong ? t.sku.wrong(number(wrong)) : t.sku.proof}</Tag>;
}

function Why({ explanation }: { explanation: Explanation }): ReactNode {
  if (explanation.untracked) return <Empty>{t.sku.untracked}</Empty>;
  const { available, levels, claims, claimCount } = explanation;
  return (
    <>
      <Text size="xl" fw={700} className={available > 0n ? "" : "bad"}>
        {available > 0n ? t.sku.sellable(number(available)) : t.sku.notSellable}
      </Text>
      <div className="columns">
        {levels.map((level) => (
          <Section key={level.locationId} title={t.sku.waterfall(level.locationId)}>
            <Waterfall level={level} claims={claims.filter((claim) => claim.locationId === level.locationId)} />
          </Section>
        ))}
        <Section
          title={t.sku.claims}
          aside={claimCount > BigInt(claims.length) && <span className="dim">{t.sku.moreClaims(number(claims.length), number(claimCount))}</span>}
        >
          <Claims claims={claims} />
        </Section>
      </div>
    </>
  );
}

function Claims({ claims }: { claims: Explanation["claims"] }): ReactNode {
  const now = useNow();
  if (claims.length === 0) return <Empty>{t.sku.noClaims}</Empty>;
  return (
    <ul className="rows claims">
      {claims.map((claim, index) => (
        <li key={`${claim.owner.value}@${claim.locationId}:${index}`}>
          <span className="strong">{number(claim.quantity)}</span>
          {claim.owner.case === "orderId" ? (
            <Link className="cell-link" to="/orders/$orderId" params={{ orderId: claim.owner.value }}>
              {`${t.sku.order} …${claim.owner.value.slice(-8)}`}
            </Link>
          ) : (
            <span className="mono">{`…${claim.owner.value?.slice(-8)}`}</span>
          )}
          <span className="dim end">{claim.expireTime ? holdText(claim.expireTime, now) : claim.locationId}</span>
        </li>
      ))}
    </ul>
  );
}

function holdText(ends: NonNullable<Explanation["claims"][number]["expireTime"]>, now: number): string {
  return timestampMs(ends) > now ? t.sku.holdEnds(countdown(ends, now)) : t.sku.holdOver;
}

function Movements({ movements }: { movements: readonly inventory.StockMovement[] }): ReactNode {
  if (movements.length === 0) return <Empty>{t.sku.noMovements}</Empty>;
  return (
    <div className="scroll-x" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th>{t.sku.when}</th>
            <th>{t.sku.what}</th>
            <th className="right">{t.sku.onHand}</th>
            <th className="right">{t.stock.columns.reserved}</th>
            <th className="right">{t.stock.columns.allocated}</th>
            <th className="right">{t.sku.left}</th>
            <th>{t.sku.reference}</th>
            <th>{t.sku.by}</th>
          </tr>
        </thead>
        <tbody>
          {movements.map((each) => (
            <tr key={String(each.movementId)}>
              <td className="dim">{time(each.createTime)}</td>
              <td>{t.sku.kinds[each.kind] ?? String(each.kind)}</td>
              <td className="right">{signed(each.onHandDelta)}</td>
              <td className="right">{signed(each.reservedDelta)}</td>
              <td className="right">{signed(each.allocatedDelta)}</td>
              <td className="right">{number(each.onHand)}</td>
              <td className="mono clip" title={each.note || each.reference}>{each.reference || each.note}</td>
              <td>{each.actor}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function signed(delta: bigint): string {
  if (delta === 0n) return "";
  return delta > 0n ? `+${number(delta)}` : number(delta).replace("-", "−");
}
