"""Reads the stream as any subscriber would, and fans out every event into deliveries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.gateway.pull import StandingPull
from stockward_server.runtime.linger import Linger
from stockward_server.runtime.nats import open_nats
from stockward_server.runtime.supervision import cancel_on_loss, raise_if_cancelled, run_with_restarts
from stockward_server.storage.cluster import Address
from stockward_server.storage.database import NOT_STORED, is_database_down
from stockward_server.storage.events.lost_events import PublishedEvent
from stockward_server.storage.webhooks.feed import Position, SetAside, WebhookFeed

log = logging.getLogger(__name__)

BATCH = 500
"""Messages of one request; a transaction fans out at most half as many more."""

LEAD_SECONDS = 1.0
"""Seconds between two attempts of a gateway to become the one that reads the stream."""

MAX_TEXT = 300
"""Maximum of characters stored of a subject or a reason."""


async def run(
    dsn: Address, nats_url: str, stream_name: str, on_fan_out: Callable[[], None], metrics: GatewayMetrics
) -> None:
    """Fans out events until it is cancelled, which is safe at any moment. Calls `on_fan_out` after new deliveries."""

    async def session() -> None:
        async with cancel_on_loss() as lost, WebhookFeed.open(dsn, stream_name, lost) as feed:
            while not await feed.lead():  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(LEAD_SECONDS)
            # One connection a session: whether the stream is still the same is checked once in each.
            async with open_nats(nats_url, "stockward gateway", lost) as client:
                try:
                    await _feed(client, stream_name, feed, on_fan_out, metrics)
                finally:
                    metrics.feeding = False

    await run_with_restarts("webhook feed", session, asyncio.Event(), _is_expected)


async def _feed(
    client: Client,
    stream_name: str,
    feed: WebhookFeed,
    on_fan_out: Callable[[], None],
    metrics: GatewayMetrics,
) -> None:
    stream = client.jetstream()
    start = await _next_stream_seq(stream, stream_name, await feed.position())
    log.info("feeding webhooks from message %d of the stream %s", start, stream_name)
    consumer = await stream.add_consumer(
        stream_name,
        ConsumerConfig(
            description="Webhooks of Stockward",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=AckPolicy.NONE,  # the position is kept with the deliveries
            headers_only=True,  # payloads are read from PostgreSQL when they are sent: large orders take megabytes
            inactive_threshold=60,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    async with StandingPull.open(client, stream_name, consumer.name, BATCH) as pull:
        metrics.feeding = True
        linger = Linger()
        while True:
            raise_if_cancelled()
            messages = await pull.next()
            await _fan_out(messages, feed, metrics)
            on_fan_out()
            await linger.pause()


async def _fan_out(messages: Sequence[Msg], feed: WebhookFeed, metrics: GatewayMetrics) -> None:
    """Fans out the events and sets aside messages that are not Stockward's events, so that they block nothing."""
    events, set_aside = _events(messages)
    last = messages[-1]
    position = Position(last.metadata.sequence.stream, (last.headers or {}).get("Nats-Msg-Id", ""))
    lost = 0
    try:
        lost = await feed.fan_out(events, position, set_aside)
    except NOT_STORED as error:
        if len(messages) > 1:
            for message in messages:
                await _fan_out([message], feed, metrics)
            return
        set_aside = [_set_aside(last, error)]
        await feed.fan_out((), position, set_aside)
    metrics.fanned_out += len(messages) - len(set_aside) - lost
    metrics.set_aside += len(set_aside)
    if lost:
        log.warning("%d events were published, and the record has lost them: see `stockward events reconcile`", lost)
    for each in set_aside:
        log.error("message %d on %s is no event of ours: %s", each.stream_seq, each.subject, each.reason)


async def _next_stream_seq(stream: JetStreamContext, stream_name: str, position: Position | None) -> int:
    """Returns the stream sequence to continue from: after the last message that was fanned out, if the stream still has
    that message there.

    A stream that was recreated, or that lost its newest messages in a crash, has other messages under the same numbers.
    Then the whole stream is read again; events that already have deliveries are skipped.
    """
    info = await stream.stream_info(stream_name)
    if position is not None:
        try:
            message = await stream.get_msg(stream_name, position.stream_seq)
        except nats.js.errors.NotFoundError:
            message = None
        if message is not None and (message.headers or {}).get("Nats-Msg-Id", "") == position.event_id:
            return position.stream_seq + 1
        log.info("the stream %s is not the one that was read before: reading all of it", stream_name)
    return max(1, info.state.first_seq)


def _events(messages: Sequence[Msg]) -> tuple[Sequence[PublishedEvent], Sequence[SetAside]]:
    """Returns the events in the messages, and the messages that are not events."""
    events, set_aside = [], []
    for message in messages:
        try:
            events.append(PublishedEvent.of(message.headers or {}))
        except (LookupError, ValueError) as error:
            set_aside.append(_set_aside(message, error))
    return events, set_aside


def _set_aside(message: Msg, error: Exception) -> SetAside:
    """Returns the record of a message that is not an event, as text that PostgreSQL can store."""
    subject, reason = (
        text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_TEXT]
        for text in (message.subject, f"{type(error).__name__}: {error}")
    )
    return SetAside(message.metadata.sequence.stream, subject, reason)


def _is_expected(error: Exception) -> bool:
    return isinstance(error, nats.errors.Error) or is_database_down(error)
