"""The committer: group commit for stock-changing commands.

With one order a transaction, every order waits for a row lock and a flush of the write-ahead log. So commands queue
here; while one transaction is in flight the next batch gathers. An idle committer starts at once, so a quiet shop does
not wait; only a process that is short of time lets a batch grow. Callers take turns, so that no caller waits for
everything that another one queued before. See docs/concepts/architecture.md, "The write path".
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from stockward_server.application.command import Command
from stockward_server.application.consistency import CommitPoint, note_write
from stockward_server.application.context import MutationContext, RequestKey
from stockward_server.application.response_codec import M, R, Response, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import (
    DatabaseUnavailable,
    DeadlinePassed,
    Overloaded,
    Refusal,
)
from stockward_server.domain.event import Event
from stockward_server.runtime.back_off import BackOff
from stockward_server.runtime.repeated_log import RepeatedLog
from stockward_server.runtime.supervision import end, raise_if_cancelled
from stockward_server.runtime.turns import Turns, at_once, beside
from stockward_server.storage.database import (
    Pool,
    is_database_down,
    is_race_lost,
    is_refusing,
    refusal_of,
    transaction,
)
from stockward_server.storage.write.commit_hook import CommitHook, guarded
from stockward_server.storage.write.committer_metrics import PHASES, CommitterMetrics, Phases, log_slow_batch
from stockward_server.storage.write.fair_queue import FairQueue
from stockward_server.storage.write.idempotency import StoredResponse, find_responses
from stockward_server.storage.write.lock import lock_state
from stockward_server.storage.write.optimistic import OptimisticWrites
from stockward_server.storage.write.write_state import write_state

log = logging.getLogger(__name__)

MAX_TRIES = 5
"""Maximum number of transactions tried for one batch or command while the database is away."""

MAX_RACES = 100
"""Maximum number of transactions that one command may lose to others before its caller gets an error."""

CLOSE_SECONDS = 2.0
"""Time limit for the last transaction when the server shuts down."""

FIRST_PAUSE = 0.05
"""Seconds before the second attempt; doubled for each later one."""

RACE_PAUSE, MAX_RACE_PAUSE = 0.002, 0.1
"""The same after a lost race, doubled up to the second: the winner is committed, so there is nothing to wait for."""

NOTHING_STORED: Mapping[RequestKey, StoredResponse] = {}

Outcome = Response[Any] | bytes | BaseException
"""The outcome of a command: its response, the response stored for its request before, or the error to raise."""


BUSY = 0.9
"""Fraction of the time that a busy thread works."""

PAUSE, MAX_PAUSES = 0.002, 20
"""Seconds that a busy committer lets its next batch grow before it checks again, and the maximum number of such
pauses."""


class Effort:
    """Measures the fraction of time that this thread has worked since the object was created."""

    def __init__(self) -> None:
        self._worked, self._since = time.thread_time(), time.monotonic()

    @property
    def share(self) -> float:
        """Returns the fraction, from 0 to 1."""
        return (time.thread_time() - self._worked) / (time.monotonic() - self._since)


@dataclass(slots=True, eq=False)
class Queued:
    """A queued command, its codec, and the future that its caller waits for."""

    command: Command[Any]
    codec: ResponseCodec[Any, Any]
    future: asyncio.Future[Response[Any] | bytes]
    since: float
    weight: int
    point: CommitPoint | None = None
    """Of the transaction that carried it out; None before."""

    @property
    def key(self) -> RequestKey | None:
        return self.command.cause.key

    @property
    def request(self) -> MutationContext | None:
        """The request of the command; None for a command of the system."""
        cause = self.command.cause
        return cause if isinstance(cause, MutationContext) else None


class Committer:
    """Runs commands in batches, one transaction at a time. Callers use `submit`."""

    def __init__(
        self,
        pool: Pool,
        encode_event: Callable[[Event], bytes],
        *,
        queue_limit: int,
        batch_limit: int,
        on_commit: CommitHook = lambda state: None,
        slow_seconds: float = float("inf"),
        metrics: CommitterMetrics | None = None,
        long: bool = False,
        trace: Callable[[Sequence[str], float, Mapping[str, float]], None] | None = None,
    ) -> None:
        """`queue_limit` is in commands, `batch_limit` in rows (`Command.weight`). `on_commit` is called for every
        commit. A batch that takes longer than `slow_seconds` is logged. `long`: commands take long, and are decided in
        a separate thread. `trace` is called for every batch with the traceparents of its commands, its duration, and
        that of each of its phases, in seconds."""
        self.metrics = metrics or CommitterMetrics()
        self._pool = pool
        self._encode_event = encode_event
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._on_commit = guarded(on_commit)
        self._slow_seconds = slow_seconds
        self._do = beside if long else at_once
        self._trace = trace
        self._spent = dict.fromkeys(PHASES, 0.0)
        """Seconds in each phase of the present batch."""
        self._point: CommitPoint | None = None
        """The last transaction of the present batch."""
        self._optimistic = None if long else OptimisticWrites(pool, self.metrics)
        self._queue: FairQueue[Queued] = FairQueue(queue_limit)
        self._arrived = asyncio.Event()
        self._closing = False
        self._failures = RepeatedLog(log)
        self._task = asyncio.create_task(self._run(), name="committer")

    async def submit(self, command: Command[R], codec: ResponseCodec[R, M], weight: int | None = None) -> M:
        """Returns the response once the effect is durable; raises the Refusal of the command. `weight` replaces the
        command's own estimate.

        A repeated request gets the response that was stored before. Cancelling the caller removes a queued command;
        once its batch has begun it runs to the end.
        """
        if self._closing:
            raise DatabaseUnavailable.stopping()
        future: asyncio.Future[Response[M] | bytes] = asyncio.get_running_loop().create_future()
        queued = Queued(command, codec, future, time.perf_counter(), max(1, weight or command.weight))
        if not self._put(queued):
            raise self._overloaded()
        self._arrived.set()
        outcome = await future
        note_write(queued.point)
        return codec.message_of(outcome)

    @property
    def queued(self) -> int:
        """Number of commands whose batch has not begun."""
        return len(self._queue)

    def _put(self, queued: Queued) -> bool:
        return self._queue.put(queued, queued.weight, queued.command.cause.share)

    async def close(self) -> None:
        """Accepts no more commands, finishes queued ones, and stops. A transaction that an unresponsive database has
        not finished after CLOSE_SECONDS is cancelled; its callers can repeat their requests."""
        self._closing = True
        self._arrived.set()
        await asyncio.wait((self._task,), timeout=CLOSE_SECONDS)
        await end(self._task)
        while left := self._queue.take(sys.maxsize):
            _answer(left[0], DatabaseUnavailable.stopping())

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            await self._arrived.wait()
            self._arrived.clear()
            while batch := self._next_batch():
                effort = Effort()
                try:
                    await self._work_off(batch)
                except asyncio.CancelledError:
                    _answer_all(batch, DatabaseUnavailable.outcome_unknown())
                    raise
                except Exception as error:
                    log.exception("the committer failed and goes on")
                    _answer_all(batch, error)
                raise_if_cancelled()
                await self._gather(effort)

    async def _work_off(self, batch: Sequence[Queued]) -> None:
        """Runs a batch, resolves its futures and records its metrics."""
        since, self._spent, self._point = time.perf_counter(), dict.fromkeys(PHASES, 0.0), None
        outcomes = await self._run_at_once(batch) or await self._run_batch(batch)
        for queued, outcome in zip(batch, outcomes, strict=True):
            queued.point = self._point
            _answer(queued, outcome)
        seconds, waited = time.perf_counter() - since, since - min(queued.since for queued in batch)
        self.metrics.add(len(batch), waited, seconds)
        if seconds > self._slow_seconds or self._trace is not None:
            if seconds > self._slow_seconds:
                log_slow_batch(len(batch), waited, seconds, self._spent)
            if self._trace is not None:
                self._trace([queued.command.cause.traceparent for queued in batch], seconds, self._spent)

    async def _gather(self, effort: Effort) -> None:
        """Lets the next batch grow while this thread is busy: a transaction costs the same for many commands as for
        few, and commands that wait for a busy thread lose nothing. Otherwise returns at once."""
        for _ in range(MAX_PAUSES):
            if self._closing or effort.share < BUSY:
                return
            effort = Effort()
            await asyncio.sleep(PAUSE)

    def _next_batch(self) -> list[Queued]:
        """Returns commands up to the limit, from callers in turn; a repeated request_id waits for the next batch."""
        now = time.monotonic()
        batch: list[Queued] = []
        repeated: list[Queued] = []
        keys: set[RequestKey] = set()
        taken = 0
        while next_one := self._queue.take(self._batch_limit - taken if batch else sys.maxsize):
            queued, weight = next_one
            key = queued.key
            deadline = queued.command.cause.deadline
            if queued.future.done():
                continue
            if deadline is not None and deadline <= now:
                _answer(queued, DeadlinePassed.in_queue())
                continue
            taken += weight
            if key in keys:
                repeated.append(queued)
                continue
            if key is not None:
                keys.add(key)
            batch.append(queued)
        for queued in repeated:
            if not self._put(queued):
                _answer(queued, self._overloaded())
        if not batch:
            self._queue.forgive()
        return batch

    def _overloaded(self) -> Overloaded:
        return Overloaded.by_changes(len(self._queue), self._queue_limit)

    async def _run_at_once(self, batch: Sequence[Queued]) -> Sequence[Outcome] | None:
        """Decides the batch on remembered rows, and compares, writes and commits it in one round trip. Returns None
        when that is not possible or did not succeed; the batch then takes the usual way."""
        draft = self._optimistic and self._optimistic.draft([each.command for each in batch], self._encode_event)
        if not (self._optimistic and draft):
            return None
        phases = Phases()
        try:
            outcomes = await self._decide(batch, draft.state)
            phases.end("decide")
            refused = [
                each.command for each, outcome in zip(batch, outcomes, strict=True) if not isinstance(outcome, Response)
            ]
            if refused:
                self._optimistic.distrust(refused)
                return None
            self._point = await self._optimistic.commit(draft, _to_store(batch, outcomes))
            if self._point is None:
                return None
            phases.end("commit")
        finally:
            self._add_phases(phases)
        self._on_commit(draft.state)
        return outcomes

    async def _run_batch(self, batch: Sequence[Queued]) -> list[Outcome]:
        """Returns one outcome for each command. A batch that fails is replayed one command at a time, so that only the
        command that cannot be written fails."""
        away, race = BackOff(FIRST_PAUSE), BackOff(RACE_PAUSE, MAX_RACE_PAUSE)
        tries = races = 0
        while True:
            try:
                return await self._transact(batch)
            except Exception as error:
                if is_refusing(error):
                    self._failures.warning("batch of %d is refused by the database: %r", len(batch), error)
                    refused = DatabaseUnavailable.outcome_unknown() if tries else refusal_of(error)
                    return [refused or error for _ in batch]
                if is_database_down(error):
                    tries, pause = tries + 1, away.next()
                    self.metrics.retries += 1
                    self._failures.warning("batch of %d failed, the database is not there: %r", len(batch), error)
                elif len(batch) > 1:
                    self.metrics.replays += 1
                    log.warning("batch of %d failed, replaying it one by one: %r", len(batch), error)
                    return [outcome for queued in batch for outcome in await self._run_batch([queued])]
                elif is_race_lost(error):
                    races, pause = races + 1, race.next()
                else:
                    refusal = refusal_of(error)
                    if refusal is None:
                        log.error("command failed", exc_info=error)
                    return [refusal or error]
            if tries == MAX_TRIES or races == MAX_RACES:
                return [DatabaseUnavailable.outcome_unknown() for _ in batch]
            await asyncio.sleep(pause)

    async def _transact(self, batch: Sequence[Queued]) -> list[Outcome]:
        """Runs all commands in one transaction and returns their outcomes once it is durable.

        When the connection breaks around COMMIT, the outcome is unknown. The batch runs again: commands that took
        effect are found by their request_ids, and commands without one have nothing left to do. The id of the
        transaction would not help: after a crash PostgreSQL may give it to another transaction.
        """
        requests = [each.request for each in batch if each.request is not None]
        phases = Phases()
        try:
            async with transaction(self._pool) as connection:
                now, renames, first_version, point, stored = await find_responses(connection, requests)
                if self._optimistic:
                    self._optimistic.note(now, first_version)
                phases.end("begin")
                state = UnitOfWork(now, self._encode_event, first_version)
                fresh = [each.command for each in batch if each.key not in stored]
                await lock_state(connection, fresh, state, renames)
                phases.end("lock")
                outcomes = await self._decide(batch, state, stored)
                failed = [
                    each.request
                    for each, outcome in zip(batch, outcomes, strict=True)
                    if each.request is not None and isinstance(outcome, BaseException)
                ]
                if failed:
                    # Another process may have committed the same request while this one waited for its locks: the
                    # refusal is then caused by the request's own effect.
                    later = await find_responses(connection, failed)
                    late, point = later.stored, later.point
                    outcomes = [
                        outcome if (known := _replay(each, late)) is None else known
                        for each, outcome in zip(batch, outcomes, strict=True)
                    ]
                phases.end("decide")
                await write_state(connection, state, _to_store(batch, outcomes), self._do)
                phases.end("write")
            phases.end("commit")
        finally:
            self._add_phases(phases)
        self._point = point if self._point is None else max(self._point, point)
        if self._optimistic:
            self._optimistic.learn(state)
        self._on_commit(state)
        return outcomes

    async def _decide(
        self, batch: Sequence[Queued], state: UnitOfWork, stored: Mapping[RequestKey, StoredResponse] = NOTHING_STORED
    ) -> list[Outcome]:
        """Executes the commands one after another, and replays those whose response is stored."""
        outcomes: list[Outcome] = []
        turns = Turns(ahead=True)
        for each in batch:
            known = _replay(each, stored)
            outcomes.append(
                await self._do(partial(_execute, each.command, each.codec, state)) if known is None else known
            )
            await turns.give()
        return outcomes

    def _add_phases(self, phases: Phases) -> None:
        for phase, seconds in phases.seconds.items():
            self.metrics.phases[phase] += seconds
            self._spent[phase] += seconds


def _to_store(batch: Sequence[Queued], outcomes: Sequence[Outcome]) -> list[tuple[MutationContext, bytes]]:
    """Returns the requests with the responses to store."""
    return [
        (each.request, outcome.stored)
        for each, outcome in zip(batch, outcomes, strict=True)
        if each.request is not None and isinstance(outcome, Response)
    ]


def _answer(queued: Queued, outcome: Outcome) -> None:
    if queued.future.done():
        return
    if isinstance(outcome, BaseException):
        queued.future.set_exception(outcome)
    else:
        queued.future.set_result(outcome)


def _answer_all(batch: Sequence[Queued], outcome: Outcome) -> None:
    for queued in batch:
        _answer(queued, outcome)


def _execute(command: Command[R], codec: ResponseCodec[R, M], state: UnitOfWork) -> Response[M] | Exception:
    """Returns the response of a command, or its error; then `state` is as before."""
    scratch = state.scratch()
    try:
        response = codec.respond(command.execute(scratch))
    except Refusal as refusal:
        return refusal
    except Exception as error:
        log.error("command failed", exc_info=error)
        return error
    state.merge(scratch)
    return response


def _replay(queued: Queued, stored: Mapping[RequestKey, StoredResponse]) -> bytes | Refusal | None:
    """Returns the stored response of this request, or the error of an invalid repetition; None when it is new."""
    if queued.request is None or (known := stored.get(queued.request.key)) is None:
        return None
    try:
        return known.replay(queued.request)
    except Refusal as refusal:
        return refusal
