"""Checks that every committed change is reported: in the log, the stream, each receiver, ListEvents and a watch."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from stockward.event.v1.event_pb2 import Event

from stockward_server.domain.endpoint import STOREFRONT
from stockward_server.domain.event import STAFF_ONLY
from stockward_server.gateway.defaults import AUDIENCES
from stockward_server.storage.database import Pool
from tests.events import stored
from torture.checks import Evidence, Finding, Recorded, Violation
from torture.listeners import Received

VERSIONS = """
    SELECT sku || '@' || location_id AS id, version FROM stock
    UNION ALL SELECT order_id::text, version FROM orders
    UNION ALL SELECT reservation_id::text, version FROM reservations
    UNION ALL SELECT product_id::text, version FROM products
"""
"""Selects the number of events of each aggregate."""


async def read_record(pool: Pool) -> Sequence[Recorded]:
    """Returns the event log, by seq."""
    rows = await pool.fetch(
        "SELECT seq, event_id::text, type, aggregate_id, aggregate_version, payload FROM events ORDER BY seq"
    )
    found = []
    for seq, event_id, type_, aggregate_id, version, payload in rows:
        event = Event.FromString(payload)
        found.append(Recorded(seq, event_id, type_, aggregate_id, version, event.request_id, event))
    return found


async def versions_of(evidence: Evidence) -> dict[str, int]:
    """Returns the version of each aggregate; for stock whose SKU was renamed, that of the last event under the former
    SKU."""
    ended = {event.aggregate_id: event.version for event in evidence.events if event.data.stock.renamed_to_sku}
    return ended | {row["id"]: row["version"] for row in await evidence.pool.fetch(VERSIONS)}


async def recorded(evidence: Evidence) -> Finding:
    """Checks that versions have no gap and equal the number of changes of each aggregate, with one event for each
    movement."""
    found = []
    lives: dict[str, list[int]] = defaultdict(list)
    for event in evidence.events:
        lives[event.aggregate_id].append(event.version)
        payload = event.data
        if (payload.event_id, payload.type, payload.aggregate_id, payload.aggregate_version) != (
            event.event_id,
            event.type,
            event.aggregate_id,
            event.version,
        ):
            found.append(Violation(f"event {event.event_id} says another thing than its row", (event.aggregate_id,)))
    if len({event.event_id for event in evidence.events}) < len(evidence.events):
        found.append(Violation("an event_id was given twice"))
    now = await versions_of(evidence)
    for aggregate_id in now.keys() | lives.keys():
        versions = lives[aggregate_id]
        if versions != list(range(1, now.get(aggregate_id, 0) + 1)):
            message = f"{aggregate_id} is at version {now.get(aggregate_id)}, its events are {_short(versions)}"
            found.append(Violation(message, (aggregate_id,)))
    moved = await evidence.pool.fetchval("SELECT count(*) FROM movements")
    told_moves = sum(event.type == "stock.changed" for event in evidence.events)
    if moved != told_moves:
        found.append(Violation(f"{moved} movements, {told_moves} events of them"))
    return Finding("events", "every change has its event, once", len(evidence.events), found)


async def streamed(evidence: Evidence) -> Finding:
    messages = [Event.FromString(message.data) for message in await stored(evidence.nats_url)]
    received = [Received(each.event_id, each.aggregate_id, each.aggregate_version) for each in messages]
    found = compare("the stream", evidence.events, received)
    return Finding("stream", "JetStream has every event, in order, and no other", len(received), found)


async def delivered(evidence: Evidence) -> Finding:
    found = []
    for name, receiver in evidence.receivers.items():
        types = AUDIENCES[name].types
        wanted = [
            event
            for event in evidence.events
            if {event.type, f"{event.type.partition('.')[0]}.*", "*"}.intersection(types)
            and not (name == STOREFRONT and event.type in ("product.created", *STAFF_ONLY))  # drafts
        ]
        excused = off_sale(evidence.events) if name == STOREFRONT else ()
        found += compare(f"the {name}'s receiver", wanted, receiver.received, excused)
    count = sum(len(receiver.received) for receiver in evidence.receivers.values())
    return Finding("webhooks", "each receiver gets every event that it wants, in order", count, found)


async def listed(evidence: Evidence) -> Finding:
    received = evidence.reader.received
    found = compare("ListEvents", evidence.events, received)
    if len({each.event_id for each in received}) < len(received):
        found.append(Violation("ListEvents returned an event twice"))
    return Finding("list", "who reads on from a cursor reads every event, once", len(received), found)


async def watched(evidence: Evidence) -> Finding:
    now = {key: version for key, version in (await versions_of(evidence)).items() if "@" in key}
    found = [
        Violation(f"a watch reported {_short(versions)} of {row}, which is at {now[row]}", (row,))
        for row, versions in evidence.watch.versions.items()
        if versions != list(range(versions[0], now[row] + 1))
    ]
    unseen = now.keys() - evidence.watch.versions.keys()
    found += [Violation(f"a watch never reported {row}", (row,)) for row in unseen]
    count = sum(map(len, evidence.watch.versions.values()))
    return Finding("watch", "a resumed watch reports every version, once and in order", count, found)


def off_sale(events: Sequence[Recorded]) -> set[str]:
    """Returns ids of events that a storefront receives only if they arrive in time: those of a product and its stock
    before its last publication, and those of stock under a SKU that was renamed since. On a publication or rename the
    storefront reads all of it again."""
    product_of: dict[str, str] = {}  # by SKU
    since: dict[str, int] = {}
    renamed: dict[str, int] = {}  # the last event of the goods that had the SKU before
    for event in events:
        if event.data.stock.renamed_to_sku:
            renamed[event.data.stock.sku] = event.seq
        elif event.data.product.HasField("renamed"):
            renamed[event.data.product.renamed.from_sku] = event.seq
        if event.type.startswith("product."):
            product_of |= {variant.sku: event.aggregate_id for variant in event.data.product.variants}
        if event.type == "product.published":
            since[event.aggregate_id] = event.seq
        elif event.type == "product.unpublished":
            since.pop(event.aggregate_id, None)
    return {
        event.event_id
        for event in events
        if event.type.startswith(("product.", "stock."))
        and event.type != "product.unpublished"
        and (
            event.seq < since.get(product_of.get(event.data.stock.sku, event.aggregate_id), sys.maxsize)
            or event.seq <= renamed.get(event.data.stock.sku, 0)
        )
    }


def compare(
    who: str, wanted: Iterable[Recorded], received: Sequence[Received], excused: Collection[str] = ()
) -> list[Violation]:
    """Compares the first receipt of events with those expected: all except `excused`, no others, and in order for each
    aggregate."""
    expected = {event.event_id: event for event in wanted}
    found: list[Violation] = []
    first: dict[str, Received] = {}
    newest: dict[str, int] = {}
    for each in received:
        if each.event_id not in expected:
            message = f"{who} received {each.event_id} of {each.aggregate_id}, which was never committed for it"
            found.append(Violation(message, (each.aggregate_id,)))
        elif each.event_id not in first:
            first[each.event_id] = each
            if each.version <= newest.get(each.aggregate_id, 0):
                message = f"{who} received version {each.version} of {each.aggregate_id} after a later one"
                found.append(Violation(message, (each.aggregate_id,)))
            newest[each.aggregate_id] = each.version
    found += [
        Violation(f"{who} never received {event.type} of {event.aggregate_id} ({event_id})", (event.aggregate_id,))
        for event_id, event in expected.items()
        if event_id not in first and event_id not in excused
    ]
    return found


def _short(versions: Sequence[int]) -> str:
    """Returns runs of numbers as `1–7 9 8`."""
    runs: list[list[int]] = []
    for version in versions:
        if runs and runs[-1][1] + 1 == version:
            runs[-1][1] = version
        else:
            runs.append([version, version])
    return " ".join(f"{a}–{b}" if a < b else str(a) for a, b in runs) or "none"
