"""After an epoch of the event log began, no version is given that a lost event may have had."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.command_examples import EXAMPLES
from tests.unit.test_refusals import Batch

FIRST = 1_000_000


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_command_skips_the_versions_of_earlier_epochs(name: str) -> None:
    batch = Batch()
    command = await EXAMPLES[name][1](batch.submit)
    batch.state.events.clear()
    batch.state.first_version = FIRST
    await batch.submit(command)
    versions = defaultdict[str, list[int]](list)
    for event in batch.state.events:
        versions[event.aggregate_id].append(event.version)
    for each in versions.values():
        assert each == list(range(FIRST, FIRST + len(each))), "and goes on from there without a gap"
    state = batch.state
    saved = {order_id: order.version for order_id, order in state.orders.items()}
    saved |= {reservation_id: each.version for reservation_id, each in state.reservations.items()}
    saved |= {f"{sku}@{place}": level.version for (sku, place), level in state.levels.items()}
    assert {each: saved[each] for each in versions} == {each: of_it[-1] for each, of_it in versions.items()}
