"""Random histories of webhook endpoints and their deliveries: staff's desk and a model of it never disagree."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_server.domain.delivery import DeliveryState
from tests.endpoints import deliver, endpoint_of
from tests.integration.test_model import EXAMPLES
from tests.shop import Shop
from torture.calls import reason_of

pytestmark = pytest.mark.long

T = TypeVar("T")

TYPES = ("product.created", "product.published", "stock.changed")
"""One event of each has happened."""

states = st.sampled_from(DeliveryState)

LOST = """
    SELECT * FROM deliveries d JOIN endpoints USING (endpoint_id) WHERE state = 1 AND NOT EXISTS (
        SELECT FROM lanes l WHERE l.endpoint_id = d.endpoint_id AND l.aggregate_id = d.aggregate_id)
"""
"""Pending, with nobody to send them."""


class Desk(RuleBasedStateMachine):
    """Endpoints without a gateway: what staff do to them, and what should come of it."""

    def __init__(self, shop: Shop, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.shop, self.loop = shop, loop
        self.enabled: dict[str, bool] = {}
        self.deliveries: dict[str, dict[str, DeliveryState]] = {}
        """By endpoint and event; those of deleted endpoints stay, to be asked for."""
        self.done: list[tuple[str, Any, Any]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, method: str, request: Any, refusal: str = "") -> None:
        """Which is to be refused for that reason, or done."""
        request.request_id = str(uuid.uuid4())
        answer, reason = self.run(self.send(method, request))
        assert reason == refusal, (method, request, answer)
        if not refusal:
            self.done.append((method, request, answer))

    async def send(self, method: str, request: Any) -> tuple[Any, str]:
        """The answer, or the reason for which there is none."""
        try:
            return await getattr(self.shop.pms.webhooks, method)(request), ""
        except grpc.aio.AioRpcError as error:
            return None, reason_of(error)

    def some(self, data: st.DataObject) -> tuple[str, str]:
        """An endpoint, and the reason for which it cannot be worked on."""
        endpoint_id = data.draw(st.sampled_from(sorted(self.deliveries)))
        return endpoint_id, "" if endpoint_id in self.enabled else "ENDPOINT_NOT_FOUND"

    @precondition(lambda self: len(self.deliveries) < 3)
    @rule(found=st.tuples(states, states, states))
    def create(self, found: tuple[DeliveryState, ...]) -> None:
        endpoint_id = self.run(endpoint_of(self.shop))
        self.enabled[endpoint_id], self.deliveries[endpoint_id] = True, {}
        for type_, state in zip(TYPES, found, strict=True):
            (event_id,) = self.run(deliver(self.shop.pool, endpoint_id, state, [type_]))
            self.deliveries[endpoint_id][event_id] = state

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data(), enabled=st.booleans())
    def enable_or_disable(self, data: st.DataObject, enabled: bool) -> None:
        endpoint_id, refusal = self.some(data)
        if enabled:
            self.call("EnableEndpoint", pb.EnableEndpointRequest(endpoint_id=endpoint_id), refusal)
        else:
            self.call("DisableEndpoint", pb.DisableEndpointRequest(endpoint_id=endpoint_id), refusal)
        if not refusal:
            self.enabled[endpoint_id] = enabled

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        endpoint_id, refusal = self.some(data)
        self.call("DeleteEndpoint", pb.DeleteEndpointRequest(endpoint_id=endpoint_id), refusal)
        self.enabled.pop(endpoint_id, None)

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data())
    def ping(self, data: st.DataObject) -> None:
        endpoint_id, refusal = self.some(data)
        refusal = refusal or ("" if self.enabled[endpoint_id] else "ENDPOINT_DISABLED")
        self.call("PingEndpoint", pb.PingEndpointRequest(endpoint_id=endpoint_id), refusal)

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data(), again=st.booleans())
    def retry_or_skip(self, data: st.DataObject, again: bool) -> None:
        endpoint_id, refusal = self.some(data)
        deliveries = self.deliveries[endpoint_id]
        event_id = data.draw(st.sampled_from(sorted(deliveries)))
        asked = {"endpoint_id": endpoint_id, "event_id": event_id}
        if again:
            self.call("RetryDelivery", pb.RetryDeliveryRequest(**asked), refusal)
        else:
            delivered = deliveries[event_id] is DeliveryState.DELIVERED
            refusal = refusal or ("DELIVERY_STATE_INVALID" if delivered else "")
            self.call("SkipDelivery", pb.SkipDeliveryRequest(**asked), refusal)
        if not refusal:
            deliveries[event_id] = DeliveryState.PENDING if again else DeliveryState.SKIPPED

    retry_or_skip_too = retry_or_skip

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        endpoint_id, refusal = self.some(data)
        request = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id)
        request.start_time.SetInParent()
        self.call("RecoverDeliveries", request, refusal)
        if not refusal:
            for event_id, state in self.deliveries[endpoint_id].items():
                if state is DeliveryState.DEAD:
                    self.deliveries[endpoint_id][event_id] = DeliveryState.PENDING

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """What was done is answered again, and not done again."""
        method, request, answer = data.draw(st.sampled_from(self.done))
        assert self.run(self.send(method, request)) == (answer, "")

    @invariant()
    def agree(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        webhooks = self.shop.pms.webhooks
        for endpoint_id, enabled in self.enabled.items():
            endpoint = await webhooks.GetEndpoint(pb.GetEndpointRequest(endpoint_id=endpoint_id))
            assert (endpoint.state == pb.Endpoint.STATE_ENABLED) is enabled
            listed = await webhooks.ListDeliveries(pb.ListDeliveriesRequest(endpoint_id=endpoint_id))
            assert {each.event_id: DeliveryState(each.state) for each in listed.deliveries} == self.deliveries[
                endpoint_id
            ]
        assert not await self.shop.pool.fetch(LOST)

    def teardown(self) -> None:
        for endpoint_id in self.enabled:
            self.call("DeleteEndpoint", pb.DeleteEndpointRequest(endpoint_id=endpoint_id))


@pytest.mark.timeout(600 + 2 * EXAMPLES)  # a history that fails is made short first
async def test_staffs_desk_never_disagrees_with_its_model(shop: Shop) -> None:
    loop = asyncio.get_running_loop()
    await shop.sell("TEE", 1)
    await asyncio.to_thread(
        run_state_machine_as_test,
        cast(Any, lambda: Desk(shop, loop)),
        settings=settings(
            max_examples=EXAMPLES,
            print_blob=True,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
