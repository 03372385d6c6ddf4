"""Events from NATS JetStream, each handled once and in order. Needs `stockward-client[events]`."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats
import nats.errors
import nats.js.errors
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from stockward.event.v1.event_pb2 import Event

from stockward_client.connection import pauses
from stockward_client.subjects import subject_for

__all__ = ["Handler", "subject_for", "subscribe"]

log = logging.getLogger(__name__)

FETCH_SECONDS = 2.0
"""How long one request for an event lasts; one that a restart of NATS swallowed costs no more."""

CONFIRM_SECONDS = 1.0
"""How long the confirmation of an acknowledgement is waited for before it is sent again."""

CONSUMER_REFUSED = 10012
"""JetStream's error code for a durable that cannot be changed as asked."""

REMEMBERED = 100_000
"""Aggregates whose last handled event is kept in mind."""

CLOSE_SECONDS = 5.0

Handler = Callable[[Event], Awaitable[object]]


async def subscribe(
    url: str,
    durable: str,
    handler: Handler,
    *,
    types: Sequence[str] = (),
    subjects: Sequence[str] = (),
    stream: str = "STOCKWARD",
    only_new: bool = False,
    ack_wait: float = 30.0,
    retry_delays: Sequence[float] = (1, 5, 30, 60),
    max_deliveries: int | None = None,
    on_dead: Handler | None = None,
    on_unreadable: Callable[[str, bytes], Awaitable[object]] | None = None,
    on_lag: Callable[[int], object] | None = None,
    api_prefix: str = "$JS.API",
    **options: Any,
) -> None:
    """Hands every event to `handler`, one after the other, until cancelled.

    An event is acknowledged once the handler has returned. One whose handler raises comes again, and all later ones
    wait for it, so that order holds, also when subscribers crash and when several share the same `durable`. What should
    not wait for each other goes into subscriptions of its own. Duplicates are dropped as far as this process remembers;
    after a crash between handling and acknowledging, an event comes again: store `event_id` where that matters. NATS
    may restart, or not be there yet.

    Args:
        url: `nats://HOST:PORT`; several servers by commas.
        durable: Name under which the stream remembers how far this subscriber is: letters, digits, `_` and `-`.
        handler: Awaited with each event.
        types: Such as `order.created`, or `order.*` for all of an aggregate. Neither types nor subjects: all events.
        subjects: Further subjects, such as `subject_for("TEE-L")` returns. None may overlap another one or a type.
        stream: Name of the stream.
        only_new: A new durable starts with the events to come instead of the oldest one that is kept.
        ack_wait: Seconds after which an event comes again, or goes to another subscriber, when its own has died. One
            that is still being handled does not.
        retry_delays: Seconds before an event whose handler raised comes again: after the first time, the second ...;
            the last one stands for all further ones.
        max_deliveries: After so many times the event is left out: logged, and handed to `on_dead`. None: never.
        on_dead: Awaited with each event that is left out.
        on_unreadable: Awaited with subject and data of each message that is no event. It is logged and left out, so
            that nothing waits behind it.
        on_lag: Called with the number of events that wait in the stream, after each one and when there is none.
        api_prefix: Of JetStream: `STOCKWARD.API` for a user of Stockward's that may only read events.
        options: Of `nats.connect`, such as `user_credentials` or `tls`.

    Raises:
        nats.errors.Error: NATS refuses the credentials, or the durable was made with another `only_new`.
    """
    seen, waiting = _Seen(), pauses()
    subscription: JetStreamContext.PullSubscription | None = None
    task = asyncio.current_task()
    async with _connected(url, options) as client:
        while True:
            if task and task.cancelling():  # the client's asyncio.wait_for loses it now and then before Python 3.12
                raise asyncio.CancelledError
            try:
                subscription = subscription or await _consumer(
                    client.jetstream(prefix=api_prefix), stream, durable, _filters(types, subjects), only_new, ack_wait
                )
                (message,) = await subscription.fetch(1, timeout=FETCH_SECONDS)
                event = _event(message)
                if event is None:
                    await _leave_out(message, on_unreadable)
                else:
                    await _handle(message, event, handler, seen, ack_wait, retry_delays, max_deliveries, on_dead)
                waiting = pauses()
                if on_lag:
                    on_lag(message.metadata.num_pending)
            except TimeoutError:  # there was none
                if on_lag:
                    on_lag(0)
            except nats.errors.Error as error:
                if isinstance(error, nats.js.errors.APIError) and error.err_code == CONSUMER_REFUSED:
                    raise
                subscription = None
                pause = next(waiting)
                log.warning("%s: %s; again in %.1f s", durable, str(error) or type(error).__name__, pause)
                await asyncio.sleep(pause)


def _event(message: Msg) -> Event | None:
    """None where it is no event: one has an id."""
    try:
        event = Event.FromString(message.data)
    except DecodeError:
        return None
    return event if event.event_id else None


async def _leave_out(message: Msg, on_unreadable: Callable[[str, bytes], Awaitable[object]] | None) -> None:
    """A message that is no event does not become one by coming again."""
    log.error("message %d on %s is no event, and is left out", message.metadata.sequence.stream, message.subject)
    if on_unreadable is not None:
        await on_unreadable(message.subject, message.data)
    await message.term()


async def _handle(
    message: Msg,
    event: Event,
    handler: Handler,
    seen: _Seen,
    ack_wait: float,
    retry_delays: Sequence[float],
    max_deliveries: int | None,
    on_dead: Handler | None,
) -> None:
    if event in seen:
        await _acknowledge(message, ack_wait)
        return
    delivery = message.metadata.num_delivered
    try:
        async with _kept_alive(message, ack_wait):
            await handler(event)
    except asyncio.CancelledError:
        await message.nak()
        raise
    except Exception:
        what = f"{event.type} {event.event_id} of {event.aggregate_id}, delivery {delivery}"
        if max_deliveries is None or delivery < max_deliveries:
            log.warning("handler failed: %s", what, exc_info=True)
            await message.nak(delay=retry_delays[min(delivery, len(retry_delays)) - 1])
            return
        log.exception("left out: %s", what)
        if on_dead is not None:
            await on_dead(event)
        await message.term()
    else:
        await _acknowledge(message, ack_wait)
    seen.add(event)


async def _acknowledge(message: Msg, ack_wait: float) -> None:
    """Sends it until NATS has it: one that is lost, as in a restart, would hold back the next event for `ack_wait`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ack_wait):
            for pause in pauses():
                try:
                    await message.ack_sync(timeout=CONFIRM_SECONDS)
                    return
                except nats.errors.Error:
                    await asyncio.sleep(pause)


class _Seen:
    """The last handled event of each aggregate.

    Versions of an aggregate rise, and so do times, which are the database's. Both are looked at because the stock of a
    SKU that was dropped and made again counts from 1.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()

    def add(self, event: Event) -> None:
        aggregate = event.aggregate_type, event.aggregate_id
        self._last[aggregate] = event.aggregate_version, event.time.ToNanoseconds()
        self._last.move_to_end(aggregate)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)

    def __contains__(self, event: Event) -> bool:
        version, time = self._last.get((event.aggregate_type, event.aggregate_id), (0, 0))
        return event.aggregate_version <= version and event.time.ToNanoseconds() <= time


@asynccontextmanager
async def _kept_alive(message: Msg, ack_wait: float) -> AsyncIterator[None]:
    """Reports to NATS meanwhile that the message is being worked on."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(ack_wait / 3)
            await message.in_progress()

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()


@asynccontextmanager
async def _connected(url: str, options: dict[str, Any]) -> AsyncIterator[Client]:
    """A connection that is restored whenever it breaks, and waited for when it cannot be made yet."""

    async def note(error: Exception) -> None:
        log.debug("NATS: %r", error)

    settings: dict[str, Any] = {
        "name": "stockward-client",
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.5,
        "error_cb": note,
        **options,
    }
    client = await nats.connect([each.strip() for each in url.split(",")], **settings)
    try:
        yield client
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(client.close(), CLOSE_SECONDS)


def _filters(types: Sequence[str], subjects: Sequence[str]) -> list[str]:
    return [*(f"stockward.v1.{each}.*" for each in types), *subjects] or ["stockward.v1.>"]


async def _consumer(
    context: JetStreamContext, stream: str, durable: str, filters: list[str], only_new: bool, ack_wait: float
) -> JetStreamContext.PullSubscription:
    """The durable consumer, made or brought up to date. One event is out at a time: that is what keeps the order."""
    config = ConsumerConfig(
        durable_name=durable,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait,
        max_ack_pending=1,
        deliver_policy=DeliverPolicy.NEW if only_new else DeliverPolicy.ALL,
        filter_subjects=filters,
    )
    await context.add_consumer(stream, config)
    return await context.pull_subscribe_bind(durable, stream)
