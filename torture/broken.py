"""Builds that break a promise on purpose; a check must find each of them.

They exist only in tests: `process.py` and the tests patch the code when it is loaded, and the code does not know.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg
from stockward.event.v1.event_pb2 import Event

from stockward_server.application import stock_commands
from stockward_server.application.context import MutationContext
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain import reservation
from stockward_server.domain.charge import LineShares
from stockward_server.domain.errors import InsufficientStock, Shortage
from stockward_server.domain.event import RecordedEvent
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.order import Order
from stockward_server.domain.payment import Cover, Payment
from stockward_server.domain.returns import OrderReturn, ReturnLine
from stockward_server.domain.stock import StockLevel
from stockward_server.gateway.sender import Answer
from stockward_server.relay.publisher import Publisher
from stockward_server.storage.database import transaction
from stockward_server.storage.events.event_log import SqlEventLog
from stockward_server.storage.events.lost_events import PublishedEvent
from stockward_server.storage.events.outbox import PendingEvent
from stockward_server.storage.statement import Statement
from stockward_server.storage.webhooks.claims import Lane, SqlWebhooks
from stockward_server.storage.webhooks.feed import Position, WebhookFeed
from stockward_server.storage.write import (
    committer,
    idempotency,
    lock,
    optimistic,
    write_order_edits,
    write_orders,
    write_state,
)
from torture.checks import Finding

Patch = Callable[[object, str, Any], None]
"""setattr, or pytest's monkeypatch.setattr, which undoes it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A build that breaks a promise."""

    found_by: str
    """The check that must notice."""
    break_it: Callable[[Patch], None]
    says: str = ""
    """Text that its finding must contain, where the check has several findings."""

    def is_found(self, findings: Iterable[Finding]) -> bool:
        """Returns whether the expected check found it, regardless of the others."""
        found = [each for finding in findings if finding.check == self.found_by for each in finding.violations]
        return any(self.says in violation.message for violation in found)


def every(count: int) -> Callable[[], bool]:
    """Returns a function that returns True at each `count`th call."""
    numbers = itertools.count(1)
    return lambda: next(numbers) % count == 0


def acknowledges_early(patch: Patch) -> None:
    """Sometimes rolls a batch back and reports success to its callers."""
    unlucky = every(15)

    @asynccontextmanager
    async def transaction(pool: Any, **options: Any) -> AsyncIterator[Any]:
        async with pool.acquire() as connection:
            under_way = connection.transaction()
            await under_way.start()
            try:
                yield connection
            except BaseException:
                await under_way.rollback()
                raise
            await (under_way.rollback() if unlucky() else under_way.commit())

    patch(committer, "transaction", transaction)


def forgets_requests(patch: Patch) -> None:
    """Executes a repeated request again."""
    find, insert = idempotency.find_responses, idempotency.insert_responses

    async def find_responses(connection: Any, requests: Sequence[MutationContext]) -> Any:
        opening = await find(connection, requests)
        return opening._replace(stored={})

    def insert_responses(statement: Statement, answers: Any, now: Any) -> None:
        insert(statement, answers, now)
        statement._parts[-1] = statement._parts[-1].removesuffix(")") + " ON CONFLICT DO NOTHING)"

    patch(committer, "find_responses", find_responses)
    patch(write_state, "insert_responses", insert_responses)


def none_left() -> InsufficientStock:
    return InsufficientStock([Shortage("none left", 1, 0)])


def answers_no(patch: Patch) -> None:
    """Sometimes reports a committed change as refused."""
    answer, unlucky = committer._answer, every(15)

    def answer_no(queued: Any, outcome: Any) -> None:
        refusal = not isinstance(outcome, BaseException) and queued.request is not None and unlucky()
        answer(queued, none_left() if refusal else outcome)

    patch(committer, "_answer", answer_no)


def refuses_late(patch: Patch) -> None:
    """Sometimes refuses a command after it has saved its changes: harmless, as they are dropped."""
    move, unlucky = UnitOfWork.move, every(15)

    def moved(self: UnitOfWork, changes: Any, cause: Any) -> None:
        move(self, changes, cause)
        if isinstance(cause, MutationContext) and unlucky():
            raise none_left()

    patch(UnitOfWork, "move", moved)


def saves_early(patch: Patch) -> None:
    """Saves a command's changes into the batch at once, even when it is refused afterwards."""
    refuses_late(patch)
    patch(UnitOfWork, "scratch", lambda state: state)
    patch(UnitOfWork, "merge", lambda state, scratch: None)


def halves_orders(patch: Patch) -> None:
    """Sometimes writes the last line of an order without its claim."""
    insert, unlucky = write_orders.insert_allocations, every(10)

    def insert_allocations(statement: Statement, orders: Any) -> None:
        insert(statement, [o.but(allocations=o.allocations[:-1]) if unlucky() else o for o in orders])

    patch(write_state, "insert_allocations", insert_allocations)


def loses_payments(patch: Patch) -> None:
    """Sometimes counts a payment without storing it."""
    insert, unlucky = write_orders.insert_payments, every(3)

    def insert_payments(statement: Statement, events: Any, now: Any) -> None:
        if kept := [event for event in events if not unlucky()]:
            insert(statement, kept, now)

    patch(write_state, "insert_payments", insert_payments)


def rounds_each_step(patch: Patch) -> None:
    """Rounds a unit's discount and tax at each step, so that they do not add up."""

    def step(shares: LineShares, gone: int, units: int, quantity: int) -> int:
        return round(shares.tax * units / quantity) - round(shares.discount * units / quantity)

    patch(LineShares, "step", step)


def counts_refunds_as_unpaid(patch: Patch) -> None:
    """Treats an order with a goodwill refund as unpaid, so that it expires."""
    cover = Payment.cover.fget  # type: ignore[attr-defined]

    def less_refunds(payment: Payment) -> Cover:
        stands: Cover = cover(payment)
        return stands._replace(secured=stands.secured - payment.refunded)

    patch(Payment, "cover", property(less_refunds))
    patch(Order, "terms_met_once", property(lambda order: order.terms_met))


def counts_returns_twice(patch: Patch) -> None:
    """Writes one unit more into each return than came back. Of returns there are few, so none is written right."""
    changed = write_order_edits._changed_returns

    def more(line: ReturnLine) -> ReturnLine:
        return replace(line, quantity=line.quantity + 1, received=line.received + 1)

    def changed_returns(old: Order, new: Order) -> list[OrderReturn]:
        returns = changed(old, new)
        return [replace(each, lines=tuple(map(more, each.lines))) for each in returns]

    patch(write_order_edits, "_changed_returns", changed_returns)


def loses_movements(patch: Patch) -> None:
    """Sometimes omits a movement from the ledger."""
    insert, unlucky = write_state.insert_movements, every(20)

    def insert_movements(statement: Statement, movements: Any, now: Any) -> None:
        insert(statement, [movement for movement in movements if not unlucky()], now)

    patch(write_state, "insert_movements", insert_movements)


def moves_late(patch: Patch) -> None:
    """Writes one movement of each batch with the next batch; after a while writes all in time."""
    insert, late, early = write_state.insert_movements, list[Any](), itertools.count()

    def insert_movements(statement: Statement, movements: Any, now: Any) -> None:
        due = [*late, *movements]
        late[:] = due[-1:] if next(early) < 150 else []
        insert(statement, due[: len(due) - len(late)], now)

    patch(write_state, "insert_movements", insert_movements)


def miscounts(patch: Patch) -> None:
    """Sometimes writes wrong counters into a movement."""
    insert, unlucky = write_state.insert_movements, every(20)

    def insert_movements(statement: Statement, movements: Any, now: Any) -> None:
        insert(statement, [m._replace(on_hand=m.on_hand + 1) if unlucky() else m for m in movements], now)

    patch(write_state, "insert_movements", insert_movements)


def sells_too_many(patch: Patch) -> None:
    """Reports three more units than there are."""
    patch(
        StockLevel,
        "available",
        property(lambda level: level.on_hand - level.reserved - level.allocated - level.safety_stock + 3),
    )


def forgets_overhang(patch: Patch) -> None:
    """Offers the overhang of one location at the others again."""
    patch(StockLevel, "overhang", property(lambda level: 0))


def locks_nothing(patch: Patch) -> None:
    """Reads stock without a lock, so that two servers sell the same unit."""

    class Unlocked:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        async def fetch(self, query: str, *arguments: Any) -> Any:
            return await self._connection.fetch(query.replace("FOR NO KEY UPDATE OF s", ""), *arguments)

    lock_stock = lock.lock_stock
    patch(lock, "lock_stock", lambda connection, skus: lock_stock(Unlocked(connection), skus))  # type: ignore[arg-type]


def checks_without(phrase: str, instead: str, function: str = "lock_remembered") -> Callable[[Patch], None]:
    """Replaces a phrase in a check of optimistic batches, in the database itself."""

    def break_it(patch: Patch) -> None:
        write = optimistic.write_draft

        async def write_draft(connection: Any, *arguments: Any) -> Any:
            definition = await connection.fetchval("SELECT pg_get_functiondef($1::regproc)", function)
            await connection.execute(definition.replace(phrase, instead))
            return await write(connection, *arguments)

        patch(optimistic, "write_draft", write_draft)

    return break_it


def locks_late(patch: Patch) -> None:
    """Writes an optimistic batch before its rows are locked and compared."""

    async def fetch_last(self: Statement, connection: Any, query: str) -> Any:
        locked, *changes = self._parts
        first = next(part.split()[0] for part in changes if part.startswith("recorded"))
        parts = [*changes, locked.replace("(SELECT", f"(SELECT (SELECT count(*) FROM {first}),", 1)]
        return await connection.fetchrow(f"WITH {', '.join(parts)} {query}", *self._arguments)

    patch(Statement, "fetch_first", fetch_last)


def has_two_winners(patch: Patch) -> None:
    """Releases a hold in any state."""
    release = reservation.decide_release

    def decide_release(hold: reservation.Reservation, now: datetime) -> Any:
        released, _ = release(replace(hold, state=reservation.ReservationState.ACTIVE), now)
        return released, []

    patch(stock_commands, "decide_release", decide_release)


def forgets_events(patch: Patch) -> None:
    """Sometimes records no event of a change."""
    insert, unlucky = write_state.insert_events, every(30)

    def insert_events(statement: Statement, events: Any, now: Any) -> None:
        insert(statement, [event for event in events if not unlucky()], now)

    patch(write_state, "insert_events", insert_events)


def tells_of_nothing(patch: Patch) -> None:
    """Sometimes records an event of a change that did not happen."""
    insert, unlucky = write_state.insert_events, every(30)

    def invent(event: RecordedEvent) -> RecordedEvent:
        copy = Event.FromString(event.payload)
        copy.event_id, copy.aggregate_id, copy.aggregate_version = new_id(), new_id(), 1
        return event._replace(
            event_id=copy.event_id, aggregate_id=copy.aggregate_id, version=1, payload=copy.SerializeToString()
        )

    def insert_events(statement: Statement, events: Any, now: Any) -> None:
        insert(statement, [*events, *(invent(event) for event in events if unlucky())], now)

    patch(write_state, "insert_events", insert_events)


def published_as(patch: Patch, change: Callable[[list[PendingEvent]], list[PendingEvent]]) -> None:
    publish = Publisher.publish

    async def published(self: Publisher, events: Sequence[PendingEvent]) -> None:
        await publish(self, change(list(events)))

    patch(Publisher, "publish", published)


def publishes_some(patch: Patch) -> None:
    """Drops one event in thirty in the relay."""
    unlucky = every(30)
    published_as(patch, lambda events: [event for event in events if not unlucky()])


def publishes_backwards(patch: Patch) -> None:
    """Publishes a batch in reverse order."""
    published_as(patch, lambda events: events[::-1])


def publishes_lies(patch: Patch) -> None:
    """Sometimes publishes an event that was never committed."""
    unlucky = every(30)

    def invent(event: PendingEvent) -> PendingEvent:
        copy = Event.FromString(event.payload)
        copy.event_id = new_id()
        return replace(event, event_id=copy.event_id, payload=copy.SerializeToString())

    published_as(patch, lambda events: [*events, *(invent(event) for event in events if unlucky())])


def takes_no_for_yes(patch: Patch) -> None:
    """Records a refused webhook as delivered."""
    patch(Answer, "accepted", property(lambda answer: True))


def fans_out_some(patch: Patch) -> None:
    """Makes no deliveries for one event in thirty."""
    fan_out, unlucky = WebhookFeed.fan_out, every(30)

    async def fanned_out(self: WebhookFeed, events: Sequence[PublishedEvent], position: Position) -> int:
        return await fan_out(self, [event for event in events if not unlucky()], position)

    patch(WebhookFeed, "fan_out", fanned_out)


def delivers_backwards(patch: Patch) -> None:
    """Sends the deliveries of a lane in reverse order."""
    claim = SqlWebhooks.claim

    async def claimed(self: SqlWebhooks, *asked: Any) -> Sequence[Lane]:
        lanes = await claim(self, *asked)
        for lane in lanes:
            lane.deliveries.reverse()
        return lanes

    patch(SqlWebhooks, "claim", claimed)


def skips_pages(patch: Patch) -> None:
    """Sometimes omits an event from ListEvents."""
    list_events, unlucky = SqlEventLog.list_events, every(2)

    async def listed(self: SqlEventLog, *arguments: Any) -> Any:
        page = await list_events(self, *arguments)
        return replace(page, payloads=page.payloads[:-1]) if page.payloads and unlucky() else page

    patch(SqlEventLog, "list_events", listed)


def skips_changes(patch: Patch) -> None:
    """Sometimes omits a change from a watch."""
    follow, unlucky = SqlEventLog.follow, every(2)

    async def followed(self: SqlEventLog, after_seq: int, limit: int) -> Any:
        batch = await follow(self, after_seq, limit)
        return replace(batch, events=batch.events[-1:]) if len(batch.events) > 1 and unlucky() else batch

    patch(SqlEventLog, "follow", followed)


def on_each_command(patch: Patch, deed: Callable[[], None]) -> None:
    execute = committer._execute

    def executed(*arguments: Any) -> Any:
        deed()
        return execute(*arguments)

    patch(committer, "_execute", executed)


def leaks(what: Callable[[], object], most: int) -> Callable[[Patch], None]:
    """Leaks an object in each command, up to `most` in a process."""

    def leaks(patch: Patch) -> None:
        left: list[object] = []

        def leak() -> None:
            if len(left) < most:
                left.append(what())

        on_each_command(patch, leak)

    return leaks


def leaks_connections(patch: Patch) -> None:
    """Leaves a connection open in each batch."""
    left: list[asyncpg.Connection[Any]] = []

    @asynccontextmanager
    async def opened(pool: Any, **options: Any) -> AsyncIterator[Any]:
        if len(left) < 40:
            left.append(await asyncpg.connect(*pool._connect_args, **pool._connect_kwargs))
        async with transaction(pool, **options) as connection:
            yield connection

    patch(committer, "transaction", opened)


def stumbles(patch: Patch) -> None:
    """Sometimes raises an unexpected error."""
    unlucky = every(40)

    def stumble() -> None:
        if unlucky():
            raise RuntimeError("a defect")

    on_each_command(patch, stumble)


WITHOUT_GUARD = {
    "compares-nothing": checks_without("IF differing IS NOT NULL", "IF false"),
    "compares-versions": checks_without(
        "now.content IS",
        "split_part(now.content, ' ', 1) IS DISTINCT FROM split_part(before.content, ' ', 1) AND now.content IS",
    ),
    "compares-unlocked": checks_without("FOR NO KEY UPDATE OF s", ""),
    "forgets-closed-locations": checks_without(", l.active", ", true"),
    "keeps-old-offers": checks_without("IF differing IS NULL", "IF false"),
    "keeps-its-own-time": checks_without("IF remembered_time", "IF false AND remembered_time"),
    "forgets-limits": checks_without("IF NOT there_is", "IF false", "require_room"),
    "keeps-its-epoch": checks_without(
        "RAISE EXCEPTION 'the event log has another epoch' USING ERRCODE = 'serialization_failure'",
        "RETURN true",
        "require_epoch",
    ),
    "forgets-requests": forgets_requests,
    "locks-late": locks_late,
}
"""Builds without a guard of optimistic batches. Tests of the committer find each of them at once; in a whole stack they
break too much, or too rarely."""

BUILDS = {
    "acknowledges-early": Broken("acknowledged", acknowledges_early),
    "forgets-requests": Broken("acknowledged", forgets_requests),
    "answers-no": Broken("refused", answers_no),
    "saves-early": Broken("refused", saves_early),
    "halves-orders": Broken("orders", halves_orders),
    "loses-payments": Broken("payments", loses_payments),
    "rounds-each-step": Broken("money", rounds_each_step, "came to"),
    "counts-refunds-as-unpaid": Broken("money", counts_refunds_as_unpaid, "expired"),
    "loses-movements": Broken("counters", loses_movements),
    "counts-returns-twice": Broken("counters", counts_returns_twice, "returns do not add up"),
    "moves-late": Broken("counters", moves_late, "under load"),
    "miscounts": Broken("ledger", miscounts),
    "sells-too-many": Broken("sold", sells_too_many),
    "forgets-overhang": Broken("sold", forgets_overhang),
    "locks-nothing": Broken("counters", locks_nothing),
    "has-two-winners": Broken("holds", has_two_winners),
    "forgets-events": Broken("events", forgets_events),
    "tells-of-nothing": Broken("events", tells_of_nothing),
    "publishes-some": Broken("stream", publishes_some),
    "publishes-backwards": Broken("stream", publishes_backwards),
    "publishes-lies": Broken("stream", publishes_lies),
    "takes-no-for-yes": Broken("webhooks", takes_no_for_yes, "never received"),
    "fans-out-some": Broken("webhooks", fans_out_some, "never received"),
    "delivers-backwards": Broken("webhooks", delivers_backwards, "after a later one"),
    "skips-pages": Broken("list", skips_pages),
    "skips-changes": Broken("watch", skips_changes),
    "leaks-files": Broken("resources", leaks(lambda: os.open(os.devnull, os.O_RDONLY), 5000), "descriptors"),
    "leaks-tasks": Broken("resources", leaks(lambda: asyncio.create_task(asyncio.Event().wait()), 5000), "tasks"),
    "leaks-connections": Broken("resources", leaks_connections, "connections"),
    "leaks-memory": Broken("resources", leaks(lambda: b"x" * 2**22, 400), "MiB"),
    "stumbles": Broken("answers", stumbles),
}
"""Builds by the name that `--broken` accepts."""
