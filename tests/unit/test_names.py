"""SKUs and handles: any script, one form, nothing that cannot be seen; refused in words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.api.server import SERVICES
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.names import MAX_SKU, MAX_SKU_BYTES, handle_fault, handle_from, normal_name, sku_fault
from stockward_server.relay.cloud_event import decode_token, encode_token
from stockward_server.wire.validation.names import _plan, name_violations, normalise_names
from stockward_server.wire.validation.rules import validate
from tests.awkward import SKUS

SEEN = ("L", "M", "N", "P", "S")
"""General categories of what can be seen; a few of their characters show nothing all the same."""


@pytest.mark.parametrize("sku", SKUS)
def test_a_sku_may_be_of_any_script(sku: str) -> None:
    assert sku_fault(normal_name(sku)) is None


@pytest.mark.parametrize(
    ("sku", "fault"),
    [
        (" A", "begins or ends with a space"),
        ("A ", "begins or ends with a space"),
        ("A\tB", "has U+0009 at position 2, a control character"),
        ("A\x7f", "has U+007F at position 2, a control character"),
        ("A\u202eB", "has U+202E (RIGHT-TO-LEFT OVERRIDE) at position 2, an invisible format character"),
        ("\u200bA", "has U+200B (ZERO WIDTH SPACE) at position 1, an invisible format character"),
        ("A\u2028B", "has U+2028 (LINE SEPARATOR) at position 2, a line separator"),
        ("A\u00a0B", "has U+00A0 (NO-BREAK SPACE) at position 2, a blank other than the space"),
        ("A\u3000", "has U+3000 (IDEOGRAPHIC SPACE) at position 2, a blank other than the space"),
        ("A\ue000", "has U+E000 at position 2, a private-use character"),
        ("A\u0378", "has U+0378 at position 2, not assigned to a character"),
        ("A\ufe0f", "has U+FE0F (VARIATION SELECTOR-16) at position 2, which cannot be seen"),
        ("A\u3164", "has U+3164 (HANGUL FILLER) at position 2, which cannot be seen"),
        ("x" * 65, "has 65 characters; 64 are allowed"),
        ("緑" * 43, "has 129 bytes in UTF-8; 128 are allowed"),
    ],
)
def test_what_is_no_sku_is_said_in_words(sku: str, fault: str) -> None:
    assert sku_fault(sku) == fault


@given(st.text(min_size=1, max_size=70))
def test_exactly_what_can_be_seen_is_a_sku(text: str) -> None:
    sku = normal_name(text)
    refused = sku_fault(sku)
    seen = all(unicodedata.category(each)[0] in SEEN or each == " " for each in sku)
    fits = len(sku) <= MAX_SKU and len(sku.encode(errors="replace")) <= MAX_SKU_BYTES and sku == sku.strip(" ")
    if not (seen and fits):
        assert refused
    if refused and "cannot be seen" not in refused:
        assert not (seen and fits)
    assert normal_name(unicodedata.normalize("NFD", sku)) == sku


@given(st.text(max_size=300))
def test_every_title_makes_a_handle_that_is_one(title: str) -> None:
    handle = handle_from(title)
    assert handle_fault(handle) is None
    assert normal_name(handle) == handle
    assert handle_from(handle) == handle
    assert len(handle) <= 190


@pytest.mark.parametrize("handle", ["tee", "a-b-2", "日本語の本", "café", "кружка", "कॉफ़ी-मग", "ß", "x" * 200])
def test_a_handle_may_be_of_any_script(handle: str) -> None:
    assert handle_fault(normal_name(handle)) is None


@pytest.mark.parametrize(
    ("handle", "fault"),
    [
        ("Tee", "has U+0054 (LATIN CAPITAL LETTER T) at position 1, which is not a lower-case letter"),
        ("a b", "has U+0020 (SPACE) at position 2, which is not a lower-case letter, a digit or a hyphen"),
        ("a--b", "has U+002D (HYPHEN-MINUS) at position 3, which has no word before it"),
        ("-a", "has U+002D (HYPHEN-MINUS) at position 1, which has no word before it"),
        ("a-", "ends with a hyphen"),
        ("ａ", "has U+FF41 (FULLWIDTH LATIN SMALL LETTER A) at position 1, for which “a” is written"),
        ("a-\u0301", "has U+0301 (COMBINING ACUTE ACCENT) at position 3, a mark without a letter before it"),
        ("x" * 201, "has 201 characters; 200 are allowed"),
    ],
)
def test_what_is_no_handle_is_said_in_words(handle: str, fault: str) -> None:
    assert handle_fault(handle) == fault


@given(st.lists(st.text(max_size=20)))
def test_code_points_sort_as_their_bytes_do(texts: list[str]) -> None:
    """So the lock order is the same here and in PostgreSQL, whose collation "C" compares bytes."""
    texts = [text for text in texts if text == text.encode(errors="ignore").decode()]
    assert sorted(texts) == sorted(texts, key=str.encode)


@given(st.text(min_size=1, max_size=64))
def test_every_sku_is_a_token_of_a_subject_and_comes_back(text: str) -> None:
    sku = text.encode(errors="ignore").decode()
    token = encode_token(sku)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert decode_token(token) == sku
    if sku and sku_fault(normal_name(sku)) is None:
        assert len(encode_token(normal_name(sku))) <= 3 * MAX_SKU_BYTES


# On the wire


def text_fields(message: Descriptor, path: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    for field in message.fields:
        if field.message_type and field.message_type.full_name.startswith("stockward."):
            yield from text_fields(field.message_type, f"{path}{field.name}.")
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield path + field.name, field


def test_every_field_of_a_request_that_speaks_of_a_sku_is_one() -> None:
    """A new one whose name says so is covered from its first day."""
    found = set()
    for service in SERVICES:
        for method in service.methods:
            for path, field in text_fields(method.input_type):
                if "sku" in field.name or field.name in ("handle", "aggregate_id"):
                    found.add(f"{method.input_type.name}.{path}")
                    assert field in [each for each, *_ in _plan(field.containing_type)], path
    assert found >= {
        "CreateProductRequest.product.variants.sku",
        "CreateProductRequest.product.handle",
        "RenameSkuRequest.new_sku",
        "BatchGetAvailabilityRequest.skus",
        "SyncStockRequest.rows.sku",
        "BatchSetStockRequest.rows.sku",
        "BatchAdjustStockRequest.requests.sku",
        "BatchImportProductsRequest.requests.product.variants.sku",
        "BatchCreateOrdersRequest.requests.lines.sku",
        "ListEventsRequest.aggregate_id",
    }


def test_a_request_is_brought_to_its_form_at_any_depth() -> None:
    order = orders.CreateOrderRequest(lines=[orders.CreateOrderRequest.Line(sku="GRU\u0308N", quantity=1)])
    batch = orders.BatchCreateOrdersRequest(requests=[order])
    sync = inventory.SyncStockRequest(rows=[inventory.SyncStockRequest.Row(sku="GRU\u0308N")])
    many = inventory.BatchGetAvailabilityRequest(skus=["A", "GRU\u0308N"])
    row = catalog.ImportProductsRequest(
        product=catalog.Product(handle="cafe\u0301", variants=[catalog.Variant(sku="GRU\u0308N")])
    )
    for message in (*batch.requests, *sync.rows, many, row):
        normalise_names(message)
    assert batch.requests[0].lines[0].sku == sync.rows[0].sku == row.product.variants[0].sku == "GRÜN"
    assert list(many.skus) == ["A", "GRÜN"]
    assert row.product.handle == "café"


def test_a_wrong_name_is_one_violation_at_its_path() -> None:
    request = catalog.CreateProductRequest(
        product=catalog.Product(
            title="Tee", handle="Tee", variants=[catalog.Variant(sku="ok"), catalog.Variant(sku="x" * 65)]
        )
    )
    for variant in request.product.variants:
        variant.price.currency_code = "EUR"
    with pytest.raises(FieldInvalid) as refusal:
        validate(request)
    told = {violation.field: violation.description for violation in refusal.value.violations}
    assert set(told) == {"product.handle", "product.variants[1].sku"}
    assert told["product.variants[1].sku"].endswith("has 65 characters; 64 are allowed")


def test_what_the_contract_ignores_is_left_to_its_own_check() -> None:
    row = catalog.ImportProductsRequest(product=catalog.Product(handle="Tee"))
    assert not list(name_violations(row))


def test_a_filter_of_a_list_may_be_what_no_name_is() -> None:
    """So one text can be looked up as a handle and as a SKU, and finds what there is."""
    for name in ("TEE-L", "x" * 64, "A\u202eB", " A"):
        validate(catalog.ListProductsRequest(handle=name, sku=name))
        validate(catalog.ListAvailableProductsRequest(handle=name, sku=name))
