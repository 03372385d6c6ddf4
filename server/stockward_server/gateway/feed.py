"""Reads the stream as any subscriber would, and has every event fanned out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import unquote

import nats
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from stockward_server.application.session import heed_cancellation, keep_running, lifeline, undisturbed
from stockward_server.gateway.tally import GatewayTally
from stockward_server.storage.database import is_database_down
from stockward_server.storage.webhook_feed import FeedEvent, Position, WebhookFeed

log = logging.getLogger(__name__)

BATCH = 500
"""Messages fanned out in one transaction, at most."""

LEAD_SECONDS = 1.0
"""How often a gateway asks whether the one that feeds is gone."""

TYPE_PREFIX = "stockward.v1."
"""What CloudEvents put before the type of an event."""

FETCH_SECONDS = 5.0

CLOSE_SECONDS = 5.0


async def run(dsn: str, nats_url: str, stream_name: str, on_fan_out: Callable[[], None], tally: GatewayTally) -> None:
    """Until it is cancelled, which is safe at any moment. `on_fan_out` hears of new deliveries."""

    async def session() -> None:
        async with lifeline() as lost, WebhookFeed.open(dsn, stream_name, lost) as feed:
            while not await feed.lead():  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(LEAD_SECONDS)
            client = await nats.connect(
                [server.strip() for server in nats_url.split(",")],
                name="stockward gateway",
                allow_reconnect=False,  # whether the stream is still the same is looked at once a session
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=3,
                ping_interval=10,
                error_cb=_ignore,
            )
            try:
                await _feed(client.jetstream(), stream_name, feed, on_fan_out, tally)
            finally:
                tally.feeding = False
                await undisturbed(client.close(), CLOSE_SECONDS)

    await keep_running("webhook feed", session, asyncio.Event(), _is_expected)


async def _feed(
    stream: JetStreamContext,
    stream_name: str,
    feed: WebhookFeed,
    on_fan_out: Callable[[], None],
    tally: GatewayTally,
) -> None:
    start = await _next_stream_seq(stream, stream_name, await feed.position())
    log.info("feeding webhooks from message %d of the stream %s", start, stream_name)
    consumer = await stream.add_consumer(
        stream_name,
        ConsumerConfig(
            description="Webhooks of Stockward",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=AckPolicy.NONE,  # the position is kept with the deliveries
            headers_only=True,  # what a delivery says is read when it is sent: the largest orders take megabytes
            inactive_threshold=60,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    subscription = await stream.pull_subscribe_bind(consumer=consumer.name, stream=stream_name)
    tally.feeding = True
    while True:
        heed_cancellation()
        try:
            messages = await subscription.fetch(BATCH, timeout=FETCH_SECONDS)
        except TimeoutError:
            messages = []
        if not messages:
            continue  # nothing happened for that long
        last = messages[-1]
        await feed.fan_out(
            _events(messages), Position(last.metadata.sequence.stream, (last.headers or {}).get("Nats-Msg-Id", ""))
        )
        tally.fanned_out += len(messages)
        on_fan_out()


async def _next_stream_seq(stream: JetStreamContext, stream_name: str, position: Position | None) -> int:
    """Where to go on: after the last message that was fanned out, provided that it is still the same message.

    A stream that was made anew, or that lost its newest messages in a crash, counts other messages under the same
    numbers. Then all that it has is read again; whatever has its delivery already changes nothing.
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


def _events(messages: Sequence[Msg]) -> Sequence[FeedEvent]:
    """What is no event of ours is left out, and told."""
    events = []
    for message in messages:
        headers = message.headers or {}
        try:
            events.append(
                FeedEvent(
                    headers["ce-id"],
                    headers["ce-type"].removeprefix(TYPE_PREFIX),
                    unquote(headers["ce-subject"]),
                    int(headers["ce-recordseq"]),
                    datetime.fromisoformat(headers["ce-time"]),
                )
            )
        except (KeyError, ValueError) as error:
            log.warning("a message on %s is no event of ours: %r", message.subject, error)
    return events


def _is_expected(error: Exception) -> bool:
    return isinstance(error, nats.errors.Error) or is_database_down(error)


async def _ignore(_: Exception) -> None:
    """What matters is raised by the call that fails."""
