"""What a command that did not succeed says, and its exit code."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from tests.commands import locked
from tests.shop import Shop
from tests.staff_terminal import Run
from tests.terminal import stockward


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("products", "show", str(uuid.UUID(int=0))), ["(PRODUCT_NOT_FOUND)"]),
        (("products", "show", "NO-SUCH-SKU"), ["No product has the id, handle or SKU NO-SUCH-SKU (PRODUCT_NOT_FOUND)"]),
        (("products", "show", f" {'x' * 300}\t"), ["No product has the id, handle or SKU", "(PRODUCT_NOT_FOUND)"]),
        (("products", "create", "--title", " "), ["(FIELD_INVALID)", "product.title: "]),
        (("stock", "receive", "NO-SUCH-SKU", "1"), ["no variant has the SKU 'NO-SUCH-SKU' (SKU_UNKNOWN)"]),
        (("stock", "adjust", "{sku}", "-11", "--reason", "lost"), ["(STOCK_NEGATIVE)"]),
        (("stock", "count", "{sku}", "5", "--expected", "9"), ["(STOCK_CHANGED)"]),
        (("stock", "reserve", "{sku}=11"), ["(INSUFFICIENT_STOCK)", "11 wanted, 10 available"]),
        (("orders", "show", "no-such-reference"), ["(ORDER_NOT_FOUND)"]),
        (("orders", "create", "{sku}=11"), ["(INSUFFICIENT_STOCK)"]),
        (("events", "list", "--cursor", "x"), ["(PAGE_TOKEN_INVALID)", "cursor"]),
    ],
)
async def test_a_refusal_is_exit_code_1_with_its_reason(
    run: Run, sku: str, words: tuple[str, ...], said: list[str]
) -> None:
    refused = await run(*(word.format(sku=sku) for word in words), "--json")
    assert (refused.code, refused.out) == (1, "")
    for text in said:
        assert text in refused.err


@pytest.mark.parametrize(
    "words",
    [
        ("products", "list", "--state", "sold"),
        ("products", "create", "--title", "Tee", "--variant", "TEE dear"),
        ("products", "create", "--file", "no-such-file.json"),
        ("products", "update", "{sku}"),
        ("products", "update", "{sku}", "--price", "OTHER=1"),
        ("stock", "adjust", "{sku}", "1"),
        ("stock", "policy", "{sku}"),
        ("stock", "reserve", "{sku}=x"),
        ("stock", "history", "--since", "yesterday"),
        ("stock", "sync", "count.csv", "--encoding", "ascii"),
        ("orders", "fulfill", str(uuid.UUID(int=0)), "--line", "SKU=1"),
        ("orders", "list", "--limit", "0"),
    ],
)
async def test_wrong_usage_is_exit_code_2(run: Run, sku: str, words: tuple[str, ...]) -> None:
    wrong = await run(*(word.format(sku=sku) for word in words))
    assert (wrong.code, wrong.out) == (2, "")
    assert "Error" in wrong.err


async def test_no_answer_is_exit_code_3(tmp_path: Path) -> None:
    """A change says how to repeat it, since nobody knows whether it was done."""
    dead = ("--address", "127.0.0.1:1", "--key", "swk_pms_any")
    looked, changed, nothing = await asyncio.gather(
        stockward("orders", "pending", *dead, cwd=tmp_path),
        stockward("stock", "receive", "TEE", "1", *dead, cwd=tmp_path),
        stockward("orders", "pending", cwd=tmp_path),
    )
    for outcome in (looked, changed, nothing):
        assert (outcome.code, outcome.out) == (3, "")
    assert "The server cannot be reached" in looked.err
    assert "--request-id" not in looked.err
    assert "repeat it with --request-id" in changed.err
    assert "No stack was found" in nothing.err


async def test_an_answer_that_does_not_come_in_time_is_exit_code_3(
    shop: Shop, run: Run, sku: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockward_server.commands.connection.CALL_SECONDS", 0.1)
    async with locked(shop.pool, sku):  # so it cannot come, however fast the machine is
        late = await run("stock", "receive", sku, "1")
    assert (late.code, late.out) == (3, "")
    assert "repeat it with --request-id" in late.err
