"""Checks that counters, ledger and claims agree, no unit is sold twice, and a hold has one end."""

from __future__ import annotations

from collections import defaultdict

from stockward_server.storage.database import Executor
from torture.checks import Evidence, Finding, Violation
from torture.history import Outcome
from torture.workload import FLASH, FLASH_UNITS, RENAMED

GOODS = f"rtrim(sku, '{RENAMED}')"
"""SQL for the goods of a row, under any of their SKUs."""

COUNTERS = f"""
    WITH ledger AS (
        SELECT {GOODS} AS sku, location_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved,
               sum(allocated_delta) AS allocated
        FROM movements GROUP BY 1, 2
    ), held AS (
        SELECT {GOODS} AS sku, location_id, sum(quantity) AS units
        FROM reservation_lines JOIN reservations USING (reservation_id) WHERE state = 1 AND location_id <> ''
        GROUP BY 1, 2
    ), owed AS (
        SELECT {GOODS} AS sku, location_id, sum(quantity) AS units FROM allocations GROUP BY 1, 2
    )
    SELECT sku, location_id, s.on_hand, s.reserved, s.allocated, l.on_hand AS moved_on_hand,
           l.reserved AS moved_reserved, l.allocated AS moved_allocated, coalesce(h.units, 0) AS held,
           coalesce(o.units, 0) AS owed
    FROM (SELECT {GOODS} AS sku, location_id, on_hand, reserved, allocated FROM stock) s
        FULL JOIN ledger l USING (sku, location_id) FULL JOIN held h USING (sku, location_id)
        FULL JOIN owed o USING (sku, location_id)
"""
"""Compares counters, ledger and claims in one statement, and so one snapshot."""

OPEN_UNITS = f"""
    SELECT sku, coalesce(allocated, 0) AS allocated, coalesce(open, 0) AS open
    FROM (SELECT {GOODS} AS sku, sum(allocated)::bigint AS allocated FROM stock GROUP BY 1) s
    FULL JOIN (SELECT {GOODS} AS sku, sum(quantity - fulfilled - cancelled)::bigint AS open
               FROM order_lines l JOIN orders USING (order_id)
               WHERE state IN (1, 2, 3) AND coalesce(to_jsonb(l) ->> 'untracked', 'false') = 'false'
               GROUP BY 1) o USING (sku)
"""
"""Reads `untracked` through JSON, as an upgrade test begins without that column."""


RETURNS = """
    WITH returned AS (
        SELECT order_id, (line ->> 0)::int AS line_number, sum((line ->> 2)::bigint) AS received,
               sum((line ->> 1)::bigint - (line ->> 2)::bigint) FILTER (WHERE state IN (1, 2)) AS expected
        FROM order_returns, jsonb_array_elements(lines) AS line GROUP BY 1, 2
    )
    SELECT order_id::text, line_number, fulfilled, returned, received, expected
    FROM returned LEFT JOIN order_lines USING (order_id, line_number)
    WHERE returned IS NULL OR received > returned OR expected > fulfilled - returned
"""
"""Finds lines of which returns have more units than came back, or expect more than the customer has."""


async def audit_counters(connection: Executor) -> list[Violation]:
    """Returns the counters that do not add up now. Needs a snapshot."""
    found = []
    for row in await connection.fetch(COUNTERS):
        place = f"{row['sku']}@{row['location_id']}"
        agree = (
            row["on_hand"] == row["moved_on_hand"]
            and row["reserved"] == row["moved_reserved"] == row["held"]
            and row["allocated"] == row["moved_allocated"] == row["owed"]
        )
        if not agree or min(row["on_hand"], row["reserved"], row["allocated"]) < 0:
            found.append(Violation(f"{place} does not add up: {dict(row)}", (row["sku"],)))
    found += [
        Violation(f"{row['sku']}: {row['allocated']} allocated, {row['open']} open", (row["sku"],))
        for row in await connection.fetch(OPEN_UNITS)
        if row["allocated"] != row["open"]
    ]
    if await connection.fetchval("SELECT to_regclass('order_returns')"):  # an upgrade test begins without it
        found += [
            Violation(f"returns do not add up: {dict(row)}", (row["order_id"],))
            for row in await connection.fetch(RETURNS)
        ]
    return found


async def balanced(evidence: Evidence) -> Finding:
    async with evidence.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        found = [*evidence.sampled, *await audit_counters(connection)]
    promise = "counters are what the ledger and the open claims say, at any time"
    return Finding("counters", promise, evidence.samples + 1, found)


async def ledger(evidence: Evidence) -> Finding:
    """Checks that the counters after each movement follow from the previous ones, and that no more is promised than
    exists."""
    rows = await evidence.pool.fetch(
        f"""
        SELECT movement_id, sku, location_id, kind, on_hand, reserved, allocated, reference,
               on_hand = sum(on_hand_delta) OVER so_far AND reserved = sum(reserved_delta) OVER so_far
                   AND allocated = sum(allocated_delta) OVER so_far AS follows
        FROM movements WINDOW so_far AS (PARTITION BY {GOODS}, location_id ORDER BY movement_id)
        """
    )
    found = []
    for row in rows:
        promised = row["kind"] in (1, 5)  # reserved, allocated
        if not row["follows"] or (promised and row["on_hand"] < row["reserved"] + row["allocated"]):
            what = "does not follow" if not row["follows"] else "promises more than there is"
            found.append(Violation(f"movement {what}: {dict(row)}", (row["sku"], row["reference"])))
    return Finding("ledger", "no movement promises what is not there", len(rows), found)


async def sold(evidence: Evidence) -> Finding:
    """Checks that the flash sale sold exactly all units: demand was sufficient and nothing was returned."""
    calls = [
        call
        for call in evidence.history.of("CreateOrder")
        if call.outcome is Outcome.OK and any(line.sku == FLASH for line in call.request.lines)
    ]
    made: dict[str, int] = {}
    for call in calls:
        for response in call.responses:
            made[response.order_id] = sum(line.quantity for line in response.lines)
    acknowledged = sum(made.values())
    there, allocated = await evidence.pool.fetchrow(
        """
        SELECT (SELECT coalesce(sum(quantity), 0) FROM order_lines WHERE sku = $1),
               (SELECT sum(allocated) FROM stock WHERE sku = $1)
        """,
        FLASH,
    ) or (0, 0)
    found = []
    if not acknowledged <= there == allocated == FLASH_UNITS:
        message = (
            f"{FLASH_UNITS} of {FLASH} were there: {acknowledged} acknowledged, {there} ordered, {allocated} allocated"
        )
        found.append(Violation(message, (FLASH,)))
    return Finding("sold", "as many are sold as there were, not one more", len(calls), found)


ENDS = ("reservation.converted", "reservation.released", "reservation.expired")


async def holds(evidence: Evidence) -> Finding:
    """Checks that exactly one command ended each hold, and that nothing followed."""
    lives: dict[str, list[str]] = defaultdict(list)
    for event in evidence.events:
        if event.type.startswith("reservation."):
            lives[event.aggregate_id].append(event.type)
    found = [
        Violation(f"hold {hold}: {' '.join(life)}", (hold,))
        for hold, life in lives.items()
        if life[0] != "reservation.created"
        or sum(each in ENDS for each in life) > 1
        or any(each in ENDS for each in life[:-1])
    ]
    winners: dict[str, set[str]] = defaultdict(set)
    for call in evidence.history.of("ReleaseReservation", "CreateOrder"):
        if call.outcome is Outcome.OK and call.request.reservation_id:
            winners[call.request.reservation_id].add(call.request_id)
    found += [
        Violation(f"{len(requests)} responses said that they ended hold {hold}", (hold,))
        for hold, requests in winners.items()
        if len(requests) > 1
    ]
    rows = await evidence.pool.fetch("SELECT reservation_id::text AS id, state, order_id::text FROM reservations")
    states = ("", "created extended", "converted", "released", "expired")
    found += [
        Violation(f"hold {row['id']} is {states[row['state']]}, reported was {lives[row['id']]}", (row["id"],))
        for row in rows
        if not lives[row["id"]] or lives[row["id"]][-1].partition(".")[2] not in states[row["state"]].split()
    ]
    return Finding("holds", "a hold ends once: converted, released or expired", len(lives), found)
