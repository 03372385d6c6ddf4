"""Problems with rows, said once for each remedy."""

from __future__ import annotations

import pytest
from rich.console import Console

from stockward_server.commands.output import printable
from stockward_server.commands.row_problems import RowProblem, table_of


def told(*problems: RowProblem, width: int = 200) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table_of(problems, "Handle", "Why"))
    return [" ".join(line.split()) for line in capture.get().splitlines()[3:] if line.strip()]


def empty_sku(line: int, name: str, made: str) -> RowProblem:
    return RowProblem(line, name, "SKU", "SKU_MISSING", "empty; --make-skus makes it", made)


def test_the_same_remedy_is_said_once_with_the_rows_that_it_concerns() -> None:
    rows = [empty_sku(line, f"p{line // 2}", f"P-{line}") for line in (9, 2, 3, 4, 12)]
    rows.insert(1, RowProblem(5, "mug", "Price", "FIELD_INVALID", "empty"))
    assert told(*rows) == [
        "2-4, 9, 12 (5 rows) p1, p2, p4, p6 SKU empty; --make-skus makes it: “P-2”, “P-3”, “P-4” and 2 more",
        "5 mug Price empty",
    ]


def test_messages_that_differ_in_names_and_numbers_only_are_alike() -> None:
    taken = [RowProblem(n, f"tee-{n}", "SKU", "SKU_TAKEN", f"tee-{n} has the SKU of product {n}") for n in (2, 4, 5)]
    assert told(*taken) == ["2, 4-5 (3 rows) tee-2, tee-4, tee-5 SKU tee-2 has the SKU of product 2, and the like"]


def test_a_name_that_is_part_of_a_word_is_no_name() -> None:
    rows = [RowProblem(2, "cap", "SKU", "X", "what is owed"), RowProblem(3, "hat", "SKU", "X", "what is owed")]
    assert told(*rows) == ["2-3 (2 rows) cap, hat SKU what is owed"]


@pytest.mark.parametrize("other", ["Price", "SKU"])
def test_another_column_or_message_is_another_remedy(other: str) -> None:
    problems = [
        RowProblem(2, "tee", "SKU", "FIELD_INVALID", "too long"),
        RowProblem(3, "tee", other, "FIELD_INVALID", "too long" if other == "Price" else "too short"),
    ]
    assert len(told(*problems)) == 2


def test_many_names_and_ranges_are_counted() -> None:
    rows = [RowProblem(2 * n, f"p{n}", "SKU", "SKU_MISSING", "empty") for n in range(1, 1001)]
    assert told(*rows) == ["2, 4, 6 and 997 more (1000 rows) p1, p2, p3 and 997 more SKU empty"]


def test_a_narrow_terminal_keeps_every_word() -> None:
    long = RowProblem(2, "a-very-long-handle-of-a-product", "Variant Inventory Qty", "X", "words " * 30 + "end")
    lines = told(long, width=80)
    assert sum(line.count("words") for line in lines) == 30
    assert all(len(line) <= 80 for line in lines)


def test_texts_from_files_do_not_steer_a_terminal() -> None:
    assert printable("\x1b[31mred\n") == " [31mred "
    assert printable("x" * 50) == "x" * 39 + "…"
    (line,) = told(RowProblem(2, "\x1b]0;title", "SKU", "X", "wrong", "[red]\x1b[2J"))
    assert "\x1b" not in line
    assert "[red]" in line, "no markup either"
