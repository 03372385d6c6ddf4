"""What waits for a watch that is read slowly."""

from __future__ import annotations

from stockward_server.application.watch_queues import AvailabilityQueue


def test_of_one_sku_the_newest_availability_waits() -> None:
    queue = AvailabilityQueue(["TEE", "MUG"])
    for sku, message in (("TEE", "3 left"), ("MUG", "1 left"), ("TEE", "2 left"), ("MUG", None)):
        queue.put(sku, message)
    assert queue.take() == [("TEE", "2 left"), ("MUG", None)]
    assert not queue.take()
