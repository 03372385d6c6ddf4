"""The Python client names the subject on which the relay publishes the stock of a SKU, whatever is in the SKU.

`test_typescript.py` holds the TypeScript client to the same.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_client.subjects import subject_for
from stockward_server.relay.cloud_event import subject_of
from stockward_server.storage.events.outbox import PendingEvent
from tests.awkward import SKUS

TYPED = [*SKUS, *(unicodedata.normalize("NFD", sku) for sku in SKUS)]
"""SKUs as they may be typed, in either form of Unicode."""


def published(sku: str, event: str = "changed") -> str:
    """Returns the subject of the relay for an event of a SKU."""
    aggregate_id = f"{unicodedata.normalize('NFC', sku)}@main"
    return subject_of(PendingEvent(1, datetime.now(UTC), "id", f"stock.{event}", aggregate_id, 1, b""))


@pytest.mark.parametrize("sku", TYPED)
def test_python_agrees_with_the_relay(sku: str) -> None:
    assert subject_for(sku, "changed") == published(sku)
    assert subject_for(sku) == published(sku).replace(".changed.", ".*.")


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_python_agrees_with_the_relay_on_any_text(sku: str) -> None:
    assert subject_for(sku, "low") == published(sku, "low")


def test_no_sku_has_no_subject() -> None:
    with pytest.raises(ValueError, match="empty"):
        subject_for("")
