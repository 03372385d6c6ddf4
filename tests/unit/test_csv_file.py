"""CSV files as people have them: encoding and delimiter found or given, every row with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockward_server.commands.csv_file import CsvFile, FileUnreadable, read_csv

TABLE = 'name;what\r\nCafé;"Größe; rot"\r\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def read(file: Path, content: str | bytes, **options: str) -> CsvFile:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv(file, **options)


def refusal(file: Path, content: str | bytes, **options: str) -> str:
    with pytest.raises(FileUnreadable) as error:
        read(file, content, **options)
    message = str(error.value)
    assert message.startswith(str(file))
    return message.removeprefix(str(file))


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "windows-1252"),
    ],
)
def test_the_encoding_is_found(file: Path, codec: str, encoding: str) -> None:
    table = read(file, TABLE.encode(codec))
    assert table.encoding == encoding
    assert table.columns == ["name", "what"]
    assert table.rows[0].cells == ["Café", "Größe; rot"]


def test_both_byte_orders_of_utf_16_are_read(file: Path) -> None:
    for mark, codec in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        table = read(file, mark + TABLE.encode(codec))
        assert (table.encoding, table.rows[0].cells[0]) == ("utf-16", "Café")
        assert read(file, TABLE.encode(codec), encoding="utf-16").rows == table.rows, "without its mark when it is said"


def test_the_encoding_that_is_given_counts(file: Path) -> None:
    assert read(file, "a\nÃ©\n", encoding="windows-1252").rows[0].cells == ["ÃƒÂ©"]
    assert read(file, "a\n«É»\n".encode("cp1252"), encoding="windows-1252").rows[0].cells == ["«É»"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a\nb\ncaf\xe9\n", {"encoding": "utf-8"}, ", line 3: the byte 0xE9 is not UTF-8"),
        (
            "a\né\n".encode() + b"\xe9\n",
            {},
            ", line 3: the byte 0xE9 is not UTF-8, though other places of the",
        ),
        (b"a\n\x81\n", {}, ", line 2: the byte 0x81 is not Windows-1252"),
        ("a\nb\n".encode("utf-16")[:-1], {}, ", line 2: the byte 0x0A is not UTF-16"),
        ("a\nb\n".encode("utf-16-le"), {}, ", line 1: there is a NUL character"),
        (b"a\nb\0\n", {}, ", line 2: there is a NUL character"),
        ("a\n".encode("utf-8-sig"), {"encoding": "windows-1252"}, "begins with the mark of UTF-8, so it is not"),
        (b"PK\x03\x04workbook", {}, ": this is a workbook or an archive; save the table as CSV"),
        (b"", {}, ": the file is empty"),
        ("\ufeff\n\n ", {}, ": the file is empty"),
        (",,\n ,\n", {}, ": there is no header"),
        ('a,b\n1,"2\n3\n', {}, ", from line 2 on: a quotation mark opens a cell and none closes it"),
        ('a,b\n"1"2,3\n', {}, ", from line 2 on: a quotation mark closes a cell and more text follows"),
        (f"a\n{'x' * 10_000_001}\n", {}, ", from line 2 on: a cell has more than 10,000,000 characters"),
    ],
    ids=range(14),
)
def test_what_cannot_be_read_is_said_with_its_line(
    file: Path, content: str | bytes, options: dict[str, str], message: str
) -> None:
    assert message in refusal(file, content, **options)


@pytest.mark.parametrize(
    ("content", "delimiter", "cells"),
    [
        ("a,b\n1,2\n", "comma", ["1", "2"]),
        ("a;b\n1,5;2\n", "semicolon", ["1,5", "2"]),
        ("a\tb\n1\t2\n", "tab", ["1", "2"]),
        ("a|b\n1|2\n", "pipe", ["1", "2"]),
        ("a\n1;2\n", "comma", ["1;2"]),
        ('\n\n"a;b;c",d\n1,2\n', "comma", ["1", "2"]),
        ("sep=;\na;b,c,d\n1;2\n", "semicolon", ["1", "2"]),
        ("a;b\r1;2\r", "semicolon", ["1", "2"]),
        ('a, "b"\n1, "2,3"\n', "comma", ["1", "2,3"]),
    ],
)
def test_the_delimiter_is_found(file: Path, content: str, delimiter: str, cells: list[str]) -> None:
    table = read(file, content)
    assert (table.delimiter, table.rows[0].cells) == (delimiter, cells)


def test_the_delimiter_that_is_given_counts(file: Path) -> None:
    table = read(file, "a;b,c\n1;2,3\n", delimiter="comma")
    assert (table.columns, table.rows[0].cells) == (["a;b", "c"], ["1;2", "3"])
    assert str(table) == "read as UTF-8 with cells separated by comma"


def test_every_row_knows_where_it_begins(file: Path) -> None:
    table = read(file, 'sep=,\r\n\r\na,b\r\n"1\r\n2",x\r\n,\r\n\r\n3,y\r\n')
    assert [(row.line, row.cells) for row in table.rows] == [(4, ["1\r\n2", "x"]), (8, ["3", "y"])]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "missing.csv", "no such file or directory"), (tmp_path, "is a directory")):
        with pytest.raises(FileUnreadable, match=message):
            read_csv(path)
