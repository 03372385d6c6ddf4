"""A stored response is for the same request alone."""

from __future__ import annotations

import pytest

from stockward_server.domain.errors import RequestIdReused
from stockward_server.storage.write.idempotency import StoredResponse
from tests.commands import request


def test_it_is_for_the_same_bytes_of_the_same_method() -> None:
    """Messages of several methods have the same fields: an order's id and a request_id."""
    stored = StoredResponse("/ProcessOrder", b"digest", b"response")
    assert stored.replay(request(method="/ProcessOrder", fingerprint=b"digest")) == b"response"
    for method, fingerprint in (("/ReleaseOrder", b"digest"), ("/ProcessOrder", b"another")):
        with pytest.raises(RequestIdReused) as refusal:
            stored.replay(request(method=method, fingerprint=fingerprint))
        assert refusal.value.metadata["method"] == "/ProcessOrder"
