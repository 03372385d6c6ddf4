"""WebhookService with a relay, a gateway and real receivers: what staff ask for is what arrives."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.exceptions import InvalidSignature
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from standardwebhooks import Webhook, WebhookVerificationError
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_dev import Postgres
from stockward_server.config import Environment, Settings
from stockward_server.domain.delivery import DeliveryState
from stockward_server.gateway.endpoint_limiter import BreakerPolicy
from stockward_server.storage import database
from stockward_server.storage.write.retention import delete_finished_deliveries, delete_orphaned_deliveries
from tests.commands import waiting_for_locks
from tests.conftest import TEMPLATE
from tests.endpoints import URL, create_endpoint, deliver, endpoint_of, endpoint_of_settings
from tests.events import until
from tests.receiver import Hook, Receiver, receiver
from tests.shop import Refused, Shop, refused, running_shop
from tests.webhooks import QUICK, Stack, refuse, webhook_stack

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"

numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """With one gateway that retries quickly, and no endpoints."""
    url = await postgres.create_database("webhook_service", template=TEMPLATE)
    pool = await database.open_pool(url, 10)
    async with pool, webhook_stack(pool, url, tmp_path_factory.mktemp("webhooks")) as stack:
        await stack.start(urls={}, breaker=BreakerPolicy(failures=1_000_000))  # every test has receivers that fail
        yield stack


@pytest.fixture(scope="module")
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    """One server for all of them."""
    settings = {"database_url": stack.database_url, "event_queue_url": stack.nats.url}
    async with running_shop(Settings.model_validate(settings)) as shop:
        yield shop


@pytest.fixture
async def told(shop: Shop) -> AsyncIterator[Receiver]:
    """A receiver of its own for each test; no endpoint of it outlives the test."""
    async with receiver() as found:
        yield found
        await shop.pool.execute("DELETE FROM endpoints WHERE url = $1", found.url)


async def listening(shop: Shop, told: Receiver, **fields: object) -> str:
    """An endpoint for the receiver, which is given the secret; its id."""
    answer = await shop.pms.webhooks.CreateEndpoint(create_endpoint(told.url, **fields))
    told.secret = answer.secret
    return str(answer.endpoint.endpoint_id)


async def sold(shop: Shop, units: int = 1) -> str:
    """A new SKU with so many units, received one by one: as many stock.changed of one aggregate; all is published."""
    sku = f"S{next(numbers)}-{uuid.uuid4().hex[:6]}"
    await shop.sell(sku)
    for _ in range(units):
        await shop.receive(sku, 1)
    await until(lambda: shop.pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))
    return sku


async def state_of(shop: Shop, endpoint_id: str, event_id: str) -> pb.Delivery:
    delivery: pb.Delivery = await shop.pms.webhooks.GetDelivery(
        pb.GetDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id)
    )
    return delivery


def becomes(shop: Shop, endpoint_id: str, event_id: str, state: int) -> Callable[[], Awaitable[bool]]:
    async def has_become() -> bool:
        row = await shop.pool.fetchval(
            "SELECT state FROM deliveries WHERE endpoint_id = $1 AND event_id = $2", endpoint_id, event_id
        )
        return bool(row == state)

    return has_become


async def taken(told: Receiver, count: int) -> list[tuple[str, int]]:
    """The stock and its versions as they were taken, once there are so many of them."""

    async def are_there() -> bool:
        return len(told.taken) >= count

    await until(are_there)
    return [(hook.aggregate_id, hook.version) for hook in told.taken]


async def test_it_is_told_what_it_wants_from_now_on_with_its_headers(shop: Shop, told: Receiver) -> None:
    before = await sold(shop)
    endpoint_id = await listening(shop, told, types=["stock.changed"], headers={"X-Key": "k1"})
    sku = await sold(shop, 2)
    assert await taken(told, 2) == [(f"{sku}@main", 1), (f"{sku}@main", 2)]
    assert before not in str(told.taken)

    await shop.pms.webhooks.UpdateEndpoint(
        pb.UpdateEndpointRequest(
            endpoint=pb.Endpoint(endpoint_id=endpoint_id, types=["product.published"]),
            update_mask=FieldMask(paths=["types"]),
        )
    )
    await sold(shop, 1)
    await taken(told, 3)
    assert [hook.data["type"] for hook in told.taken] == ["stock.changed", "stock.changed", "product.published"]


async def test_a_secret_is_shown_once_and_rotates_without_a_gap(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    old = told.secret
    rotated = await shop.pms.webhooks.RotateSecret(
        pb.RotateSecretRequest(endpoint_id=endpoint_id, overlap=Duration(seconds=3600))
    )
    assert rotated.secret.startswith("whsec_")
    assert rotated.secret != old
    shown = await shop.pms.webhooks.GetEndpoint(pb.GetEndpointRequest(endpoint_id=endpoint_id))
    assert not any(secret.removeprefix("whsec_") in str(shown) for secret in (old, rotated.secret))
    assert shown == rotated.endpoint
    newest, oldest = shown.secrets
    assert not newest.HasField("expire_time")
    assert (oldest.expire_time.seconds - newest.create_time.seconds) == 3600
    assert newest.fingerprint != oldest.fingerprint
    assert shown.etag == "2"

    async def signed_by(*secrets: str) -> bool:
        """Whether a ping is, and by no other of the two; the gateway looks at its endpoints every second."""
        told.hooks.clear()
        pinged = await shop.pms.webhooks.PingEndpoint(pb.PingEndpointRequest(endpoint_id=endpoint_id))
        await until(becomes(shop, endpoint_id, pinged.event_id, DeliveryState.DELIVERED))
        return {each for each in (old, rotated.secret) if verifies(told.hooks[-1], each)} == {*secrets}

    await until(lambda: signed_by(old, rotated.secret))
    expired = await shop.pms.webhooks.ExpireSecrets(pb.ExpireSecretsRequest(endpoint_id=endpoint_id))
    assert list(expired.secrets) == [newest]
    told.secret = rotated.secret
    await until(lambda: signed_by(rotated.secret))


async def test_an_edit_that_waited_for_a_rotation_keeps_its_secrets(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    edited = pb.Endpoint(endpoint_id=endpoint_id, description="mine")
    async with database.transaction(shop.pool) as holder:
        await holder.execute("SELECT FROM endpoints WHERE endpoint_id = $1 FOR NO KEY UPDATE", endpoint_id)
        rotation = asyncio.ensure_future(
            shop.pms.webhooks.RotateSecret(
                pb.RotateSecretRequest(endpoint_id=endpoint_id, overlap=Duration(seconds=3600))
            )
        )
        await until(lambda: waiting_for_locks(shop.pool, 1))
        edit = asyncio.ensure_future(shop.pms.webhooks.UpdateEndpoint(pb.UpdateEndpointRequest(endpoint=edited)))
        await until(lambda: waiting_for_locks(shop.pool, 2))
    rotated, shown = await rotation, await edit
    assert shown.description == "mine"
    assert len(shown.secrets) == 2
    assert list(shown.secrets) == list(rotated.endpoint.secrets)


async def test_another_address_has_not_failed_yet(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    await shop.pool.execute(
        "UPDATE endpoints SET failing_since = now() - interval '4 days', warn_time = now() WHERE endpoint_id = $1",
        endpoint_id,
    )
    for change, failing in ((pb.Endpoint(description="mine"), True), (pb.Endpoint(url=URL), False)):
        change.endpoint_id = endpoint_id
        answer = await shop.pms.webhooks.UpdateEndpoint(pb.UpdateEndpointRequest(endpoint=change))
        shown = await shop.pms.webhooks.GetEndpoint(pb.GetEndpointRequest(endpoint_id=endpoint_id))
        assert answer.HasField("failing_since") == shown.HasField("failing_since") == failing


async def test_a_repetition_is_answered_without_the_secret_which_lies_in_one_table_alone(shop: Shop) -> None:
    creation = create_endpoint(types=["endpoint.disabled"])
    creation.request_id = str(uuid.uuid4())
    created = await shop.pms.webhooks.CreateEndpoint(creation)
    rotation = pb.RotateSecretRequest(endpoint_id=created.endpoint.endpoint_id, request_id=str(uuid.uuid4()))
    rotated = await shop.pms.webhooks.RotateSecret(rotation)
    assert created.secret != rotated.secret
    repeated = await shop.pms.webhooks.CreateEndpoint(creation)
    assert (repeated.endpoint, repeated.secret) == (created.endpoint, "")
    again = await shop.pms.webhooks.RotateSecret(rotation)
    assert (again.endpoint, again.secret) == (rotated.endpoint, "")

    for secret in (created.secret, rotated.secret):
        random = secret.removeprefix("whsec_")
        holders = [
            row["relname"]
            for row in await shop.pool.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
            if await shop.pool.fetchval(
                f'SELECT bool_or(strpos(t::text, $1) + strpos(t::text, $2) > 0) FROM "{row["relname"]}" t',
                random,
                random.encode().hex(),  # as bytea is written
            )
        ]
        assert holders == ["endpoint_secrets"]
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=created.endpoint.endpoint_id))


def verifies(hook: Hook, secret: str) -> bool:
    try:
        Webhook(secret).verify(hook.body, hook.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_an_ed25519_key_stays_here(shop: Shop) -> None:
    request = create_endpoint()
    request.secret_kind = pb.Endpoint.SECRET_KIND_ED25519
    answer = await shop.pms.webhooks.CreateEndpoint(request)
    assert answer.secret == ""
    (secret,) = answer.endpoint.secrets
    assert (secret.kind, secret.public_key[:5]) == (pb.Endpoint.SECRET_KIND_ED25519, "whpk_")
    stored = await shop.pool.fetchval(
        "SELECT secret FROM endpoint_secrets WHERE endpoint_id = $1", answer.endpoint.endpoint_id
    )
    assert stored.startswith("whsk_")
    assert stored not in str(answer)
    named = pb.RotateSecretRequest(endpoint_id=answer.endpoint.endpoint_id)
    rotated = await shop.pms.webhooks.RotateSecret(named)
    assert {each.kind for each in rotated.endpoint.secrets} == {pb.Endpoint.SECRET_KIND_ED25519}
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=answer.endpoint.endpoint_id))


def printed(command: str, **variables: str) -> str:
    """What a shell answers."""
    done = subprocess.run(["sh", "-c", command], env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


async def test_a_receiver_verifies_with_what_staff_are_shown_as_the_manual_says(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    rotated = await shop.pms.webhooks.RotateSecret(
        pb.RotateSecretRequest(endpoint_id=endpoint_id, kind=pb.Endpoint.SECRET_KIND_ED25519)
    )
    public, secret = rotated.endpoint.secrets
    (fingerprint,) = re.findall(r"fingerprint: `(.+?)`", (HOW_TO / "pms/manage-webhooks.md").read_text())
    assert printed(fingerprint, secret=told.secret) == secret.fingerprint
    assert printed(fingerprint, secret=public.public_key) == public.fingerprint

    async def has_two_signatures() -> bool:
        """Once the gateway knows the key; the receiver itself has verified the other one."""
        await shop.pms.webhooks.PingEndpoint(pb.PingEndpointRequest(endpoint_id=endpoint_id))
        return any(len(hook.headers["webhook-signature"].split()) == 2 for hook in told.taken)

    await until(has_two_signatures)
    (example,) = re.findall(
        r"```python\n(from base64 .+?)```", (HOW_TO / "subscriber/receive-webhooks.md").read_text(), re.DOTALL
    )
    hook = next(hook for hook in told.taken if len(hook.headers["webhook-signature"].split()) == 2)
    exec(example, {"PUBLIC_KEY": public.public_key, "headers": hook.headers, "body": hook.body})
    with pytest.raises(InvalidSignature):
        exec(example, {"PUBLIC_KEY": public.public_key, "headers": hook.headers, "body": hook.body + b" "})


async def test_a_ping_goes_to_the_one_endpoint_whatever_it_wants(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["order.created"])
    other = await endpoint_of(shop, told.url)
    pinged = await shop.pms.webhooks.PingEndpoint(pb.PingEndpointRequest(endpoint_id=endpoint_id))
    await until(becomes(shop, endpoint_id, pinged.event_id, DeliveryState.DELIVERED))
    (hook,) = told.taken
    assert (hook.event_id, hook.data["type"], hook.aggregate_id) == (pinged.event_id, "endpoint.pinged", endpoint_id)
    assert hook.data["data"]["endpoint"]["url"] == told.url.removesuffix("/hook")
    delivery = await state_of(shop, endpoint_id, pinged.event_id)
    (attempt,) = delivery.attempts
    assert (attempt.number, attempt.status, attempt.excerpt, attempt.error) == (1, 200, "thank you", "")
    assert attempt.latency.ToMilliseconds() >= 0
    refusal = await refused(
        shop.pms.webhooks.GetDelivery(pb.GetDeliveryRequest(endpoint_id=other, event_id=pinged.event_id))
    )
    assert refusal.reason == "DELIVERY_NOT_FOUND"


async def test_a_dead_letter_is_sent_again_with_its_whole_schedule(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["stock.changed"])
    told.behaviour = refuse
    sku = await sold(shop)
    dead = pb.ListDeliveriesRequest(endpoint_id=endpoint_id, states=[pb.Delivery.STATE_DEAD])

    async def is_dead() -> bool:
        return bool((await shop.pms.webhooks.ListDeliveries(dead)).deliveries)

    await until(is_dead)
    (delivery,) = (await shop.pms.webhooks.ListDeliveries(dead)).deliveries
    schedule = len(QUICK) + 1
    assert (delivery.aggregate_id, delivery.attempt_count) == (f"{sku}@main", schedule)
    assert [attempt.number for attempt in delivery.attempts] == [schedule]

    named = {"endpoint_id": endpoint_id, "event_id": delivery.event_id}
    again = await shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(**named))
    assert (again.state, again.attempt_count) == (pb.Delivery.STATE_PENDING, schedule)
    await until(is_dead)
    assert [each.number for each in (await state_of(shop, **named)).attempts] == list(range(1, 2 * schedule + 1))

    async def take(_: object) -> None: ...

    told.behaviour = take
    await shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(**named))
    await until(becomes(shop, **named, state=DeliveryState.DELIVERED))
    assert {hook.event_id for hook in told.hooks} == {delivery.event_id}
    assert (await state_of(shop, **named)).attempts[-1].error == ""


async def test_what_waits_is_sent_now_in_its_order(shop: Shop, told: Receiver) -> None:
    """Retrying the last one of an aggregate sends those before it first."""
    sku = await sold(shop, 3)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    *_, last = await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(endpoint_id=endpoint_id, event_id=last))
    assert await taken(told, 3) == [(f"{sku}@main", version) for version in (1, 2, 3)]


async def test_skipping_frees_those_behind(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 3)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    first, *_ = await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    request = pb.SkipDeliveryRequest(endpoint_id=endpoint_id, event_id=first)
    skipped = await shop.pms.webhooks.SkipDelivery(request)
    assert skipped.state == pb.Delivery.STATE_SKIPPED
    assert skipped.HasField("finish_time")
    assert await taken(told, 2) == [(f"{sku}@main", 2), (f"{sku}@main", 3)]
    assert (await shop.pms.webhooks.SkipDelivery(request)).finish_time == skipped.finish_time


async def test_enabling_goes_on_with_what_was_pending(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["stock.changed"])
    disabled = await shop.pms.webhooks.DisableEndpoint(
        pb.DisableEndpointRequest(endpoint_id=endpoint_id, reason="moving house")
    )
    assert (disabled.state, disabled.disable_reason) == (pb.Endpoint.STATE_DISABLED, "moving house")
    await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await shop.pool.execute("UPDATE endpoints SET failing_since = now(), warn_time = now() WHERE url = $1", told.url)
    missed = await sold(shop)
    enabled = await shop.pms.webhooks.EnableEndpoint(pb.EnableEndpointRequest(endpoint_id=endpoint_id))
    assert (enabled.state, enabled.disable_reason) == (pb.Endpoint.STATE_ENABLED, "")
    assert not enabled.HasField("failing_since")
    assert await taken(told, 2) == [(f"{sku}@main", 1), (f"{sku}@main", 2)]
    assert missed not in str(told.hooks)
    assert await shop.pool.fetchval("SELECT failing_since IS NULL FROM endpoints WHERE url = $1", told.url)


async def test_recovering_takes_all_dead_ones_piece_by_piece(shop: Shop, told: Receiver) -> None:
    sku, later = await sold(shop, 5), await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"], f"{sku}%")
    await deliver(shop.pool, endpoint_id, DeliveryState.DELIVERED, ["stock.changed"], f"{later}%")
    request = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=Timestamp(), limit=2)
    counts = []
    while True:
        answer = await shop.pms.webhooks.RecoverDeliveries(request)
        counts.append(answer.recovered)
        request.cursor = answer.next_cursor
        if not answer.next_cursor:
            break
    assert counts == [2, 2, 1]
    assert await taken(told, 5) == [(f"{sku}@main", version) for version in range(1, 6)]
    future = Timestamp()
    future.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    nothing = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=future)
    assert (await shop.pms.webhooks.RecoverDeliveries(nothing)).recovered == 0


async def test_what_is_no_longer_in_the_record_stays_dead(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    gone, kept = await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"], f"{sku}%")
    await shop.pool.execute("DELETE FROM events WHERE event_id = $1", gone)
    refusal = await refused(
        shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(endpoint_id=endpoint_id, event_id=gone))
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_EXPIRED")
    assert refusal.metadata == {"endpoint_id": endpoint_id, "event_id": gone}

    request = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=Timestamp())
    assert (await shop.pms.webhooks.RecoverDeliveries(request)).recovered == 1
    await until(becomes(shop, endpoint_id, kept, DeliveryState.DELIVERED))
    assert [hook.event_id for hook in told.hooks] == [kept]
    assert (await state_of(shop, endpoint_id, gone)).state == pb.Delivery.STATE_DEAD


async def test_replaying_a_part_of_time_takes_its_beginning_and_not_its_end(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 4)
    endpoint_id = await listening(shop, told, types=["stock.*"])
    rows = await shop.pool.fetch(
        "SELECT create_time FROM events WHERE type = 'stock.changed' AND aggregate_id = $1 ORDER BY seq", f"{sku}@main"
    )
    _, second, third, _ = (row["create_time"] for row in rows)
    request = pb.ReplayEventsRequest(endpoint_id=endpoint_id, aggregate_id=f"{sku}@main")
    request.start_time.FromDatetime(second)
    request.end_time.FromDatetime(third)
    assert (await shop.pms.webhooks.ReplayEvents(request)).replayed == 1
    assert await taken(told, 1) == [(f"{sku}@main", 2)]


async def test_pings_are_not_replayed(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["*"])
    pinged = await shop.pms.webhooks.PingEndpoint(pb.PingEndpointRequest(endpoint_id=endpoint_id))
    await until(becomes(shop, endpoint_id, pinged.event_id, DeliveryState.DELIVERED))
    request = pb.ReplayEventsRequest(endpoint_id=endpoint_id, aggregate_id=endpoint_id, types=["*"])
    assert (await shop.pms.webhooks.ReplayEvents(request)).replayed == 0


async def test_of_many_at_once_no_more_are_made_than_there_may_be(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = await shop.pool.fetchval("SELECT count(*) FROM endpoints") + 1
    monkeypatch.setattr("stockward_server.storage.webhooks.endpoints.MAX_ENDPOINTS", limit)
    requests = [create_endpoint(types=["endpoint.disabled"]) for _ in range(10)]
    for each in requests:
        each.request_id = str(uuid.uuid4())
    answers = await asyncio.gather(*map(shop.pms.webhooks.CreateEndpoint, requests), return_exceptions=True)
    (made,) = (answer for answer in answers if not isinstance(answer, BaseException))
    refusals = [Refused(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    told = {(each.code, each.reason) for each in refusals}
    assert told == {(grpc.StatusCode.FAILED_PRECONDITION, "ENDPOINT_LIMIT_REACHED")}
    assert refusals[0].metadata == {"limit": str(limit)}
    written = await shop.pool.fetchrow(
        "SELECT (SELECT count(*) FROM endpoints), (SELECT count(DISTINCT endpoint_id) FROM endpoint_secrets), "
        "(SELECT count(*) FROM idempotency WHERE request_id = ANY($1))",
        [each.request_id for each in requests],
    )
    assert written
    assert tuple(written.values()) == (limit, limit, 1)
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=made.endpoint.endpoint_id))


async def test_in_production_an_endpoint_is_reached_over_https_alone(settings: Settings) -> None:
    production = {"environment": Environment.PRODUCTION, "shutdown_notice_seconds": 0.0}
    async with running_shop(settings.model_copy(update=production)) as shop:
        plain = create_endpoint("http://hooks.shop.example/in")
        refusal = await refused(shop.pms.webhooks.CreateEndpoint(plain))
        assert (refusal.reason, refusal.fields) == ("ENDPOINT_URL_INVALID", ["endpoint.url"])
        assert not await shop.pool.fetchval("SELECT count(*) FROM endpoints")

        plain.endpoint.endpoint_id = await endpoint_of(shop)
        changing = pb.UpdateEndpointRequest(endpoint=plain.endpoint, update_mask=FieldMask(paths=["url"]))
        refusal = await refused(shop.pms.webhooks.UpdateEndpoint(changing))
        assert (refusal.reason, refusal.fields) == ("ENDPOINT_URL_INVALID", ["endpoint.url"])
        assert await shop.pool.fetchval("SELECT url FROM endpoints") == URL


async def test_replaying_tells_what_happened_before_and_tells_it_again(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 4)
    endpoint_id = await listening(shop, told, types=["product.*"])
    request = pb.ReplayEventsRequest(
        endpoint_id=endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}@main", limit=3
    )
    first = await shop.pms.webhooks.ReplayEvents(request)
    assert first.replayed == 3
    request.cursor = first.next_cursor
    assert (await shop.pms.webhooks.ReplayEvents(request)).replayed == 1
    versions = [(f"{sku}@main", version) for version in (1, 2, 3, 4)]
    assert await taken(told, 4) == versions
    await until(lambda: _all_delivered(shop, endpoint_id))

    told.taken.clear()
    again = pb.ReplayEventsRequest(endpoint_id=endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}@main")
    answer = await shop.pms.webhooks.ReplayEvents(again)
    assert (answer.replayed, answer.next_cursor) == (4, "")
    assert await taken(told, 4) == versions

    told.taken.clear()
    since = pb.ReplayEventsRequest(endpoint_id=endpoint_id, start_time=Timestamp(), aggregate_id=f"{sku}@main")
    assert (await shop.pms.webhooks.ReplayEvents(since)).replayed == 0, "the endpoint's own types count"


async def _all_delivered(shop: Shop, endpoint_id: str) -> bool:
    return bool(
        await shop.pool.fetchval("SELECT bool_and(state = 2) FROM deliveries WHERE endpoint_id = $1", endpoint_id)
    )


async def test_a_deleted_endpoint_is_told_nothing_and_leaves_nothing(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["stock.changed"])
    await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["product.%"])
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=endpoint_id))
    await shop.pool.execute("UPDATE lanes SET due_time = now() WHERE endpoint_id = $1", endpoint_id)
    await sold(shop)
    everyone = (await shop.pms.webhooks.ListDeliveries(pb.ListDeliveriesRequest(page_size=1000))).deliveries
    assert endpoint_id not in {each.endpoint_id for each in everyone}

    kept = await endpoint_of(shop)
    await deliver(shop.pool, kept, types=["stock.changed"], aggregate_id=f"{sku}%")
    assert await delete_orphaned_deliveries(shop.pool) > 2
    left = await shop.pool.fetchrow(
        "SELECT (SELECT count(*) FROM deliveries WHERE endpoint_id = $1), (SELECT count(*) FROM lanes WHERE "
        "endpoint_id = $1), (SELECT count(*) FROM delivery_attempts WHERE endpoint_id = $1), "
        "(SELECT count(*) FROM endpoint_secrets WHERE endpoint_id = $1)",
        endpoint_id,
    )
    assert left is not None
    assert list(left.values()) == [0, 0, 0, 0]
    assert await shop.pool.fetchval("SELECT count(*) FROM deliveries WHERE endpoint_id = $1", kept) == 2
    assert not told.hooks
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=kept))


async def test_the_cleaner_takes_whatever_is_done_with(shop: Shop) -> None:
    sku = await sold(shop, 4)
    endpoint_id = await endpoint_of(shop, types=["endpoint.disabled"])
    await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await shop.pool.execute("UPDATE deliveries SET state = 4 WHERE endpoint_id = $1", endpoint_id)
    await deliver(shop.pool, endpoint_id, types=["product.created"])
    pending = await shop.pool.fetchval(
        "SELECT count(*) FROM deliveries WHERE endpoint_id = $1 AND state = 1", endpoint_id
    )
    assert await delete_finished_deliveries(shop.pool, -1) >= 4
    rows = await shop.pool.fetch("SELECT state FROM deliveries WHERE endpoint_id = $1", endpoint_id)
    assert [row["state"] for row in rows] == [1] * pending
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=endpoint_id))


async def test_deliveries_are_listed_newest_first_and_narrowed(shop: Shop) -> None:
    sku = await sold(shop, 3)
    ids = [await endpoint_of(shop, types=["endpoint.disabled"]) for _ in range(2)]
    for endpoint_id in ids:
        await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"], f"{sku}%")
    await deliver(shop.pool, ids[0], types=["product.created"])

    async def found(**wanted: object) -> list[tuple[str, str]]:
        """Event and endpoint, two rows a page."""
        request = pb.ListDeliveriesRequest(page_size=2, **wanted)  # type: ignore[arg-type]
        rows = []
        while True:
            answer = await shop.pms.webhooks.ListDeliveries(request)
            rows += [(each.event_id, each.endpoint_id) for each in answer.deliveries]
            request.page_token = answer.next_page_token
            if not answer.next_page_token:
                return rows

    expected = await shop.pool.fetch(
        "SELECT event_id::text, endpoint_id FROM deliveries WHERE aggregate_id = $1 "
        "ORDER BY event_id DESC, endpoint_id",
        f"{sku}@main",
    )
    assert len(expected) == 6
    assert await found(aggregate_id=f"{sku}@main") == [tuple(row.values()) for row in expected]
    own = [tuple(row.values()) for row in expected if row["endpoint_id"] == ids[0]]
    assert await found(endpoint_id=ids[0], states=[pb.Delivery.STATE_DEAD]) == own
    assert await found(endpoint_id=ids[0], types=["stock.*"]) == own
    assert await found(endpoint_id=ids[1], states=[pb.Delivery.STATE_PENDING]) == []
    seconds = await shop.pool.fetch(
        "SELECT event_time FROM deliveries WHERE endpoint_id = $1 AND type = 'stock.changed' ORDER BY seq", ids[0]
    )
    start = Timestamp()
    start.FromDatetime(seconds[1]["event_time"])
    assert await found(endpoint_id=ids[0], states=[pb.Delivery.STATE_DEAD], start_time=start) == own[:2]
    assert await found(endpoint_id=ids[0], types=["stock.changed"], end_time=start) == own[2:]
    for endpoint_id in ids:
        await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=endpoint_id))


async def test_an_endpoint_of_the_settings_keeps_what_they_say(shop: Shop) -> None:
    await endpoint_of_settings(shop.pool)
    shown = await shop.pms.webhooks.GetEndpoint(pb.GetEndpointRequest(endpoint_id="pms"))
    assert (shown.url, shown.managed) == ("https://pms.example", False)
    assert "password" not in str(shown)
    changed = await shop.pms.webhooks.UpdateEndpoint(
        pb.UpdateEndpointRequest(
            endpoint=pb.Endpoint(endpoint_id="pms", types=["stock.low"], max_in_flight=4, rate_limit=2.5, etag="1")
        )
    )
    assert (list(changed.types), changed.max_in_flight, changed.rate_limit, changed.etag) == (
        ["stock.low"],
        4,
        2.5,
        "2",
    )
    assert await shop.pool.fetchval("SELECT url FROM endpoints WHERE endpoint_id = 'pms'") != changed.url

    await shop.pool.execute(
        "UPDATE endpoints SET enabled = false, disable_reason = 'not in the settings' WHERE endpoint_id = 'pms'"
    )
    refusal = await refused(shop.pms.webhooks.EnableEndpoint(pb.EnableEndpointRequest(endpoint_id="pms")))
    assert (refusal.reason, refusal.metadata["setting"]) == ("ENDPOINT_MANAGED_BY_SETTINGS", "PMS_WEBHOOK_URL")
    await shop.pool.execute("DELETE FROM endpoints WHERE endpoint_id = 'pms'")


async def test_values_of_headers_are_not_shown_and_stay_where_their_stand_in_is_sent_back(
    shop: Shop, told: Receiver
) -> None:
    value, other = "Bearer " + "s3cret" * 300, "t0ken" * 250
    endpoint_id = await listening(shop, told, types=["stock.changed"], headers={"Authorization": value, "X-A": "1"})
    shown = {"authorization": "***", "x-a": "***"}
    stub = shop.pms.webhooks
    one = await stub.GetEndpoint(pb.GetEndpointRequest(endpoint_id=endpoint_id))
    every_one = (await stub.ListEndpoints(pb.ListEndpointsRequest())).endpoints
    (listed,) = (each for each in every_one if each.endpoint_id == endpoint_id)
    assert dict(one.headers) == dict(listed.headers) == shown

    async def change(headers: dict[str, str], *paths: str) -> pb.Endpoint:
        endpoint = pb.Endpoint(endpoint_id=endpoint_id, headers=headers, description="changed")
        request = pb.UpdateEndpointRequest(endpoint=endpoint, update_mask=FieldMask(paths=paths))
        changed: pb.Endpoint = await stub.UpdateEndpoint(request)
        return changed

    assert dict((await change({}, "description")).headers) == shown
    assert dict((await change({"AUTHORIZATION": "***", "x-b": "2"}, "headers")).headers) == {
        "authorization": "***",
        "x-b": "***",
    }
    sku = await sold(shop, 1)

    async def are_sent() -> bool:
        """Whether those headers are; the gateway looks at its endpoints every second."""
        known = len(told.taken)
        await shop.receive(sku, 1)
        await until(lambda: len(told.taken) > known)
        headers = told.taken[-1].headers
        assert headers["authorization"] == value
        return (headers.get("x-b"), headers.get("x-a")) == ("2", None)

    await until(are_sent)
    assert sku in told.taken[-1].aggregate_id

    unknown = {"x-new": "***"}
    too_much = {"authorization": "***", "x-b": other, "x-c": other}
    for headers in (unknown, too_much):
        assert (await refused(change(headers, "headers"))).reason == "ENDPOINT_HEADER_INVALID"
    blank = pb.Endpoint(url=told.url, types=["*"], headers=unknown)
    refusal = await refused(stub.CreateEndpoint(pb.CreateEndpointRequest(endpoint=blank)))
    assert (refusal.reason, refusal.metadata["header"]) == ("ENDPOINT_HEADER_INVALID", "x-new")
    assert set((await stub.GetEndpoint(pb.GetEndpointRequest(endpoint_id=endpoint_id))).headers) == {
        "authorization",
        "x-b",
    }
    stored = await shop.pool.fetch("SELECT response FROM idempotency")
    assert stored
    assert not any(b"s3cret" in row["response"] for row in stored)


async def test_what_an_earlier_release_stored_as_an_answer_shows_no_headers(shop: Shop, told: Receiver) -> None:
    request_id = str(uuid.uuid4())
    endpoint_id = await listening(shop, told)
    update = pb.UpdateEndpointRequest(
        endpoint=pb.Endpoint(endpoint_id=endpoint_id, description="x"),
        update_mask=FieldMask(paths=["description"]),
        request_id=request_id,
    )
    answer = await shop.pms.webhooks.UpdateEndpoint(update)
    answer.headers["x-key"] = "s3cret"
    await shop.pool.execute(
        "UPDATE idempotency SET response = $2 WHERE request_id = $1", request_id, answer.SerializeToString()
    )
    assert dict((await shop.pms.webhooks.UpdateEndpoint(update)).headers) == {"x-key": "***"}


async def test_an_edit_that_changes_nothing_is_none(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, description="mine", headers={"X-A": "1"})
    same = pb.Endpoint(endpoint_id=endpoint_id, description="mine", headers={"x-a": "1"}, types=["*"])
    for _ in range(2):
        answer = await shop.pms.webhooks.UpdateEndpoint(pb.UpdateEndpointRequest(endpoint=same))
        assert answer.etag == "1"
    cleared = await shop.pms.webhooks.UpdateEndpoint(
        pb.UpdateEndpointRequest(
            endpoint=pb.Endpoint(endpoint_id=endpoint_id), update_mask=FieldMask(paths=["headers", "description"])
        )
    )
    assert (dict(cleared.headers), cleared.description, cleared.url, cleared.etag) == ({}, "", told.url, "2")
