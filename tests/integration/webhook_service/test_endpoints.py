"""Endpoints of WebhookService: what each is sent, its secrets and headers, and how it is changed and deleted."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks import Webhook, WebhookVerificationError
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_server.config import Environment, Settings
from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage import database
from stockward_server.storage.write.retention import delete_orphaned_deliveries
from tests.commands import waiting_for_locks
from tests.endpoints import URL, create_endpoint, deliver, endpoint_of, endpoint_of_settings
from tests.events import until
from tests.receiver import Hook, Receiver
from tests.shop import Shop, refused, running_shop
from tests.webhook_shop import becomes, listening, sold, state_of, taken

HOW_TO = Path(__file__).resolve().parents[3] / "docs" / "how-to"


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
