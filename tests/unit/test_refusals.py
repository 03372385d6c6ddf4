"""A command that is refused, or fails, changes nothing, wherever that happens and whatever was done before it. What the
others change is the batch's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import pytest

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.command import Command
from stockward_server.application.overlay import Overlay
from stockward_server.application.response_codec import R
from stockward_server.application.stock_commands import SyncedRow, SyncStock
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import Refusal, SkuUnknown
from stockward_server.domain.hold_limits import Held
from stockward_server.domain.money import Money
from stockward_server.domain.stock import Adjustment, AdjustmentReason, Offer, StockLevel
from stockward_server.domain.unpaid_limits import Unpaid
from stockward_server.storage.write.committer import _execute
from tests.command_examples import EXAMPLES, all_commands, tripped
from tests.commands import RESULT, request


class Batch:
    """The state of a batch, in memory: 10 MUG and 3 CAP at `main`, nothing at `north`."""

    def __init__(self) -> None:
        skus = ("MUG", "CAP")
        self.state = UnitOfWork(
            datetime.now(UTC),
            encode_event,
            0,
            {sku: Offer(sku, sku, Money("EUR", 1000), published=True) for sku in skus},
            {"main": (0, True), "north": (1, True)},
            held=Overlay({("ann", ""): Held()}),
            unpaid=Overlay({("ann", ""): Unpaid()}),
        )
        self.state.load_levels([StockLevel("MUG", "main", 10, version=1), StockLevel("CAP", "main", 3, version=1)])

    def run(self, command: Command[R]) -> R | Exception:
        """The result of a command, a second after the one before; or why it failed."""
        self.state.now += timedelta(seconds=1)
        outcome = _execute(command, RESULT, self.state)
        return outcome if isinstance(outcome, Exception) else outcome.message

    async def submit(self, command: Command[R]) -> R:
        outcome = self.run(command)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def seen(self) -> Any:
        """All that is in it but its clock, as immutable values."""
        return values(replace(self.state, now=None))  # type: ignore[arg-type]


def values(thing: Any) -> Any:
    kind: Any = type(thing)
    reader = reader_of(kind)
    return reader(thing) if reader else thing


@cache
def reader_of(kind: Any) -> Callable[[Any], Any] | None:
    """What reads a thing of this kind as immutable values; None for one that is immutable itself."""
    if issubclass(kind, Overlay):
        return lambda thing: (values(thing.below), values(thing.changes))
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        return lambda thing: (kind, [values(getattr(thing, name)) for name in names])
    if issubclass(kind, Mapping):
        return lambda thing: [(key, values(value)) for key, value in thing.items()]
    if issubclass(kind, list | tuple):
        return lambda thing: [*map(values, thing)]
    return None


def test_every_command_has_an_example() -> None:
    assert {command.__name__ for command, _ in EXAMPLES.values()} == all_commands()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "stockward_server.storage.write.committer")


@pytest.mark.parametrize("before", [None, *(pytest.param(each, marks=pytest.mark.long) for each in EXAMPLES)])
@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_command_that_fails_on_the_way_changes_nothing(name: str, before: str | None) -> None:
    """At each look at the state, with a refusal and with a defect, alone and after each other command of its batch."""
    batch = Batch()
    command = await EXAMPLES[name][1](batch.submit)
    if before is not None:
        batch.run(await EXAMPLES[before][1](batch.submit))
    as_it_was = batch.seen()
    for at in count(1):
        for error in (SkuUnknown("MUG"), RuntimeError("a defect")):
            broken = tripped(command, at, error)
            outcome = batch.run(broken)
            assert outcome is error or (before and isinstance(outcome, Refusal))
        assert batch.seen() == as_it_was, f"failed at look {at}"
        if not broken.wire.fired:
            break
    outcome = batch.run(command)
    failed = isinstance(outcome, Exception)
    assert not failed or (before and isinstance(outcome, Refusal))
    assert failed is (batch.seen() == as_it_was)


async def test_a_row_that_is_refused_on_the_way_changes_nothing() -> None:
    """At each look at the state: the other rows of its command are done."""
    refused = 0
    for at in count(1):
        batch = Batch()
        rows = [("MUG", "main", -10), ("CAP", "north", 4), ("MUG", "north", 2)]
        command = SyncStock(
            cause=request(),
            adjustments=[Adjustment(*row, None, None, AdjustmentReason.COUNTED) for row in rows],
        )
        before = batch.seen()
        broken = tripped(command, at, SkuUnknown("MUG"), returns=True)
        results = batch.run(broken)
        if isinstance(results, Exception):  # it was refused between its rows
            assert isinstance(results, Refusal)
            assert batch.seen() == before
            continue
        done = [row for row, result in zip(rows, results, strict=True) if isinstance(result, SyncedRow)]
        assert [(m.sku, m.location_id, m.on_hand_delta) for m in batch.state.movements] == done
        assert list(batch.state.levels.changes) == [row[:2] for row in done]
        assert {event.aggregate_id for event in batch.state.events} == {f"{sku}@{place}" for sku, place, _ in done}
        assert list(batch.state.alerts.changes) == [("MUG", "main")] * (("MUG", "main", -10) in done)
        refused += len(done) < len(rows)
        if not broken.wire.fired:
            break
    assert refused > 20


def test_a_batch_accepts_all_that_a_command_has_changed() -> None:
    state = UnitOfWork(datetime.now(UTC), encode_event, 0)
    scratch = state.scratch()
    names = [each.name for each in fields(UnitOfWork) if isinstance(getattr(state, each.name), Overlay | list)]
    assert len(names) > 10
    for name in names:
        changed = getattr(scratch, name)
        changed.append(name) if isinstance(changed, list) else changed.update({name: name})
    assert not any(getattr(state, name) for name in names)
    state.merge(scratch)
    assert [name for name in names if list(getattr(state, name)) != [name]] == []
