"""Who made, rotated, changed and ended keys and endpoints stands with them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.auth.v1 import auth_pb2
from stockward.auth.v1 import key_pb2 as keys
from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_server.api.events.encoder import encode_event
from stockward_server.domain.event import SYSTEM
from stockward_server.storage.webhooks.claims import SqlWebhooks
from stockward_server.storage.webhooks.endpoint_health import SqlEndpointHealth
from tests.shop import Callers, Shop, callers

URL = "https://erp.example/hooks"


@pytest.fixture
async def loom(shop: Shop) -> AsyncIterator[Callers]:
    """The stubs of an administrator with a key of the name `loom`."""
    made = await shop.admin.keys.CreateKey(keys.CreateKeyRequest(name="loom", role=auth_pb2.ROLE_ADMIN))
    stubs = callers(shop.address, made.secret)
    yield stubs
    await stubs.channel.close()


async def listed_key(shop: Shop, key_id: str) -> keys.Key:
    answer = await shop.admin.keys.ListKeys(keys.ListKeysRequest(include_ended=True))
    (key,) = (each for each in answer.keys if each.key_id == key_id)
    assert isinstance(key, keys.Key)
    return key


def authors(key: keys.Key) -> tuple[str, str, str]:
    return key.created_by, key.rotated_by, key.revoked_by


async def test_of_keys(shop: Shop, loom: Callers) -> None:
    made = (await shop.admin.keys.CreateKey(keys.CreateKeyRequest(name="shop", role=auth_pb2.ROLE_PMS))).key
    assert authors(made) == authors(await listed_key(shop, made.key_id)) == ("admin", "", "")

    rotated = await loom.keys.RotateKey(keys.RotateKeyRequest(key_id=made.key_id))
    assert authors(rotated.replaced) == authors(await listed_key(shop, made.key_id)) == ("admin", "loom", "")
    assert authors(rotated.key) == authors(await listed_key(shop, rotated.key.key_id)) == ("loom", "", "")

    revoked = await shop.admin.keys.RevokeKey(keys.RevokeKeyRequest(key_id=rotated.key.key_id))
    again = await loom.keys.RevokeKey(keys.RevokeKeyRequest(key_id=rotated.key.key_id))
    assert authors(revoked) == authors(again) == ("loom", "", "admin"), "the second one ended nothing"


async def test_of_endpoints_and_their_secrets(shop: Shop, loom: Callers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    wanted = webhooks.Endpoint(url=URL, types=["*"], created_by="nobody", updated_by="nobody")
    made = (await shop.pms.webhooks.CreateEndpoint(webhooks.CreateEndpointRequest(endpoint=wanted))).endpoint
    endpoint_id = made.endpoint_id
    assert (made.created_by, made.updated_by, [each.created_by for each in made.secrets]) == ("pms", "pms", ["pms"])

    await loom.webhooks.RotateSecret(webhooks.RotateSecretRequest(endpoint_id=endpoint_id))
    (listed,) = (await shop.pms.webhooks.ListEndpoints(webhooks.ListEndpointsRequest())).endpoints
    assert (listed.created_by, listed.updated_by) == ("pms", "loom")
    assert [each.created_by for each in listed.secrets] == ["loom", "pms"]

    update = webhooks.UpdateEndpointRequest(endpoint=listed, update_mask=FieldMask(paths=["description"]))
    assert (await shop.pms.webhooks.UpdateEndpoint(update)).updated_by == "loom", "it changed nothing"
    disabled = await shop.pms.webhooks.DisableEndpoint(webhooks.DisableEndpointRequest(endpoint_id=endpoint_id))
    assert (disabled.created_by, disabled.updated_by) == ("pms", "pms")
    enabled = await loom.webhooks.EnableEndpoint(webhooks.EnableEndpointRequest(endpoint_id=endpoint_id))
    assert enabled.updated_by == "loom"
    assert await SqlEndpointHealth(shop.pool, encode_event).disable(endpoint_id, int(enabled.etag), "it answered 410")
    found = await shop.pms.webhooks.GetEndpoint(webhooks.GetEndpointRequest(endpoint_id=endpoint_id))
    assert (found.state, found.updated_by) == (webhooks.Endpoint.STATE_DISABLED, SYSTEM)

    await loom.webhooks.DeleteEndpoint(webhooks.DeleteEndpointRequest(endpoint_id=endpoint_id))
    assert f"endpoint {endpoint_id} was deleted by loom" in caplog.text


async def test_of_endpoints_of_the_settings(shop: Shop) -> None:
    store = SqlWebhooks(shop.pool)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    await store.put_endpoint("pms", URL, secret, description="", types=["*"], max_in_flight=1)
    request = webhooks.DisableEndpointRequest(endpoint_id="pms")
    assert (await shop.pms.webhooks.DisableEndpoint(request)).updated_by == "pms"
    await store.put_endpoint("pms", URL + "/2", secret, description="", types=["*"], max_in_flight=1)
    found = await shop.pms.webhooks.GetEndpoint(webhooks.GetEndpointRequest(endpoint_id="pms"))
    assert (found.created_by, found.updated_by) == ("settings", "settings")
    assert [each.created_by for each in found.secrets] == ["settings"]
