"""What the Python client decides by itself: its surface, exceptions, TLS or not, request_ids, pauses."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from stockward.catalog.v1.catalog_pb2 import GetProductRequest
from stockward.order.v1.order_pb2 import BatchCreateOrdersRequest, CreateOrderRequest, ListOrdersResponse, Order

import stockward_client
from stockward_client import errors, messages, reasons
from stockward_client.connection import MAX_PAUSE, is_plaintext, merge, number, pauses
from stockward_server.domain.errors import FieldViolation, InsufficientStock, MessageTooLarge, Refusal
from stockward_server.wire.status import status_of


def test_the_surface_is_what_was_decided() -> None:
    by_hand = {"AsyncPages", "AsyncStockward", "Pages", "Stockward", "error_of", "verify_webhook"}
    by_hand |= {"eur", "money", "to_decimal"}
    made = set(errors.__all__) | set(reasons.__all__) | set(messages.__all__)
    assert set(stockward_client.__all__) == by_hand | made
    assert len(stockward_client.__all__) == len(set(stockward_client.__all__))
    assert all(hasattr(stockward_client, name) for name in stockward_client.__all__)


def bare(kind: type[Refusal], message: str, **fields: Any) -> Refusal:
    """A refusal of the kind with another message and fields than its own."""
    refusal = kind.__new__(kind)
    Refusal.__init__(refusal, message, **fields)
    return refusal


def test_every_refusal_of_the_server_is_an_exception_of_its_reason_and_of_its_code() -> None:
    for refusal in Refusal.__subclasses__():
        error = stockward_client.error_of(status_of(bare(refusal, "no")))
        assert (error.reason, error.code.value[0], error.message) == (refusal.reason, refusal.code, "no")
        by_code = errors.BY_CODE[error.code]
        assert isinstance(error, by_code)
        assert isinstance(error, reasons.BY_REASON.get(refusal.reason, by_code))
        assert refusal.reason in reasons.BY_REASON or refusal.reason == "INTERNAL"


def test_an_error_carries_all_that_the_status_does() -> None:
    violations = [FieldViolation("lines[0].quantity", "too many")]
    refusal = bare(InsufficientStock, "3 wanted, 2 there", sku="MUG", violations=violations, retry_after=1.5)
    error = stockward_client.error_of(status_of(refusal), "id")
    assert isinstance(error, stockward_client.InsufficientStock)
    assert error.metadata["sku"] == "MUG"
    assert [(each.field, each.description) for each in error.violations] == [("lines[0].quantity", "too many")]
    assert (error.retry_after, error.request_id) == (1.5, "id")
    assert str(error) == "3 wanted, 2 there (INSUFFICIENT_STOCK)"


def test_a_reason_with_several_codes_is_caught_by_each() -> None:
    error = stockward_client.error_of(status_of(MessageTooLarge(9, 8)))
    assert isinstance(error, stockward_client.MessageTooLarge)
    assert isinstance(error, errors.BY_CODE[error.code])


def test_a_status_without_details_is_an_exception_of_its_code() -> None:
    error = stockward_client.error_of(status_pb2.Status(code=14, message="gone"))
    assert type(error) is stockward_client.Unavailable
    assert (error.reason, error.retry_after, str(error)) == ("", None, "gone (UNAVAILABLE)")
    assert type(stockward_client.error_of(status_pb2.Status(code=99))) is stockward_client.Unknown


def test_a_reason_of_something_else_in_between_is_none_of_the_server() -> None:
    """Reasons are unique within a domain only."""
    status = status_pb2.Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="no such host")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="ORDER_NOT_FOUND", domain="proxy.example"))
    error = stockward_client.error_of(status)
    assert type(error) is stockward_client.NotFound
    assert error.reason == ""


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/run/stockward"])
def test_there_is_no_tls_on_this_machine(address: str) -> None:
    assert is_plaintext(address, None, None)
    assert not is_plaintext(address, None, False)
    assert not is_plaintext(address, grpc.ssl_channel_credentials(), None)


@pytest.mark.parametrize("address", ["shop.example:443", "10.0.0.7:50051", "localhost.example:1"])
def test_there_is_tls_elsewhere_unless_it_is_waived(address: str) -> None:
    assert not is_plaintext(address, None, None)
    assert is_plaintext(address, None, True)
    with pytest.raises(ValueError, match="not both"):
        is_plaintext(address, grpc.ssl_channel_credentials(), True)


def test_every_mutation_gets_a_request_id_and_keeps_its_own() -> None:
    order = CreateOrderRequest()
    assert number(order) == order.request_id == str(uuid.UUID(order.request_id))
    assert number(order) == order.request_id

    batch = BatchCreateOrdersRequest(requests=[CreateOrderRequest(request_id="mine"), CreateOrderRequest()])
    assert number(batch) == ""
    assert batch.requests[0].request_id == "mine"
    assert str(uuid.UUID(batch.requests[1].request_id)) == batch.requests[1].request_id
    assert number(GetProductRequest()) == ""


def test_the_first_rows_of_several_pages_go_on_where_the_last_one_ends() -> None:
    pages = [ListOrdersResponse(orders=[Order(order_id=each)], next_page_token=f"after {each}") for each in "ab"]
    merged = merge(pages, lambda page: page.orders)
    assert [order.order_id for order in merged.orders] == ["a", "b"]
    assert merged.next_page_token == "after b"
    assert [len(page.orders) for page in pages] == [1, 1]


def test_pauses_grow_to_a_limit_and_differ() -> None:
    drawn = list(itertools.islice(pauses(), 50))
    assert drawn[0] <= 0.1
    assert MAX_PAUSE / 2 <= max(drawn) <= MAX_PAUSE
    assert len(set(drawn)) == 50
