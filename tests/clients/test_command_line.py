"""What the command line has of the Python client: attempts with one request_id, and errors as exit codes."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2
from stockward.inventory.v1.inventory_pb2 import AdjustStockRequest, StockLevel

from tests.clients.test_python_attempts import Scripted, Step
from tests.handlers import serving
from tests.terminal import Outcome, in_process


async def receive(*steps: Step) -> tuple[Outcome, list[str]]:
    """Runs `stock receive`; returns the outcome, and the request_id of each attempt."""
    server = Scripted(*steps)
    async with serving(server) as address:
        outcome = await in_process("stock", "receive", "TEE", "1", "--address", address, "--key", "any")
    return outcome, [AdjustStockRequest.FromString(request).request_id for request in server.requests]


async def test_a_command_is_tried_again_while_the_server_is_unavailable() -> None:
    outcome, attempts = await receive([grpc.StatusCode.UNAVAILABLE], [StockLevel(sku="TEE", on_hand=1)])
    assert (outcome.code, "TEE" in outcome.out) == (0, True)
    assert len(attempts) == 2
    assert len(set(attempts)) == 1


async def test_a_refusal_is_final_and_names_each_field() -> None:
    refusal = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="no")
    refusal.details.add().Pack(error_details_pb2.ErrorInfo(reason="FIELD_INVALID", domain="stockward"))
    violation = error_details_pb2.BadRequest.FieldViolation(field="delta", description="too many")
    refusal.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    outcome, attempts = await receive([refusal])
    assert (outcome.code, outcome.out, len(attempts)) == (1, "", 1)
    assert outcome.err.splitlines() == ["✗ no (FIELD_INVALID)", "  delta: too many"]
