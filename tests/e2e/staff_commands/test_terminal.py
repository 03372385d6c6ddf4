"""Commands on a terminal: next steps, progress, completion, and a reader that stops reading."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from tests.commands import locked
from tests.shop import Shop
from tests.staff_terminal import Run, reaching
from tests.terminal import MODULE, SCRIPT, clean_environment, stockward


async def test_the_next_step_is_told_to_people_only(run: Run) -> None:
    words = ("products", "create", "--title", "Pot")
    made = await run(*words)
    (product_id,) = [line.split()[-1] for line in made.out.splitlines() if line.startswith("Product id")]
    assert made.err == f"Publish it: stockward products publish {product_id}\n"
    assert (await run(*words, "--json")).err == ""


async def on_a_terminal(shop: Shop, *words: str, cwd: Path, text: str, seen: asyncio.Event) -> int:
    """Run it with a terminal as its stderr, which must show the text before it ends; the exit code."""
    terminal, end = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*MODULE, *words),
        env=clean_environment() | reaching(shop) | {"TERM": "xterm"},
        cwd=cwd,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    shown = ""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while part := await asyncio.to_thread(os.read, terminal, 4096):
            shown += part.decode()
            if text in shown:
                seen.set()
    os.close(terminal)
    assert seen.is_set(), shown
    return await process.wait()


async def test_long_work_shows_progress(shop: Shop, sku: str, tmp_path: Path) -> None:
    file = tmp_path / "count.csv"
    file.write_text("sku,on_hand\n" + f"{sku},12\n" * 2500)
    words = ("stock", "sync", str(file))
    assert await on_a_terminal(shop, *words, cwd=tmp_path, text="2500/2500", seen=asyncio.Event()) == 0


async def test_waiting_is_told(shop: Shop, sku: str, tmp_path: Path) -> None:
    """The row that the command wants is free again when it has said that it waits."""
    seen = asyncio.Event()
    words = ("stock", "receive", sku, "1")
    async with asyncio.TaskGroup() as group, locked(shop.pool, sku):
        told = group.create_task(on_a_terminal(shop, *words, cwd=tmp_path, text="Waiting for the server", seen=seen))
        await asyncio.wait_for(seen.wait(), 20)
    assert told.result() == 0


async def completed(shop: Shop, typed: str, cwd: Path) -> list[str]:
    """What bash offers after the words typed; the last one is to be completed."""
    words = typed.split(" ")
    offered = await stockward(
        cwd=cwd,
        program=SCRIPT,
        _STOCKWARD_COMPLETE="complete_bash",
        COMP_WORDS=" ".join(words),
        COMP_CWORD=str(len(words) - 1),
        **reaching(shop),
    )
    return offered.out.split()


async def test_a_shell_completes(shop: Shop, sku: str, tmp_path: Path) -> None:
    order = await shop.order(sku, reference=f"COMPLETE-{sku}")
    nouns, verbs, states, products, orders = await asyncio.gather(
        completed(shop, "stockward pro", tmp_path),
        completed(shop, "stockward orders f", tmp_path),
        completed(shop, "stockward orders list --state p", tmp_path),
        completed(shop, f"stockward stock show {sku}", tmp_path),
        completed(shop, "stockward orders show COMPLETE-", tmp_path),
    )
    assert (nouns, verbs) == (["products"], ["find", "fulfill"])
    assert states == ["pending", "processing", "partially_fulfilled"]
    assert sku in products
    assert orders == [order.reference]


async def test_completion_can_be_installed(tmp_path: Path) -> None:
    in_bash = ("bash", "-c", f'{SCRIPT[0]} "$@"; exit', "bash")  # it asks which shell it was started from
    installed = await stockward("--install-completion", cwd=tmp_path, program=in_bash, HOME=str(tmp_path))
    assert (installed.code, "completion installed" in installed.out) == (0, True), installed
    assert "stockward" in (tmp_path / ".bashrc").read_text()


async def test_a_reader_that_has_read_enough(shop: Shop, tmp_path: Path) -> None:
    for words in (("events", "list"), ("events", "list", "--json")):
        reading, writing = os.pipe()
        os.close(reading)
        process = await asyncio.create_subprocess_exec(
            *(*MODULE, *words),
            env=clean_environment() | reaching(shop),
            cwd=tmp_path,
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writing)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert b"Broken" not in err
        assert b"Traceback" not in err
