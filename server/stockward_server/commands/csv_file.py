"""CSV files as people have them: encoding and delimiter are given or found, and every row knows its line.

How they are found, always with the same outcome for the same bytes:

* Encoding: the byte order mark of UTF-8 or UTF-16 decides. Without one it is UTF-8 when all bytes are, else
  Windows-1252. A file that is UTF-8 in parts is refused rather than guessed.
* Delimiter: the first line may say it, as in `sep=;`. Otherwise it is the one of comma, semicolon, tab and pipe that
  makes most cells of the header; of equals the first.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stockward_server.commands.output import printable

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "windows-1252": "Windows-1252"}

MAX_CELL = 10_000_000
"""Characters of one cell; the server's own limits are lower."""

MAX_NAME = 200
"""Characters of a column's name."""

SAVE_IT = "save the file as CSV in UTF-8, or say what it is with --encoding"

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CODECS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "windows-1252": "cp1252"}


class FileUnreadable(Exception):
    """The file as a whole cannot be used; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row below the header."""

    line: int
    """Where it begins; the first line of the file is 1."""
    cells: Sequence[str]
    """As they are in the file; blanks around them included."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file that was read."""

    columns: Sequence[str]
    """The cells of the header, without blanks around them and without control characters."""
    rows: Sequence[CsvRow]
    """Rows that have something in them."""
    encoding: str
    """A key of ENCODINGS."""
    delimiter: str
    """A key of DELIMITERS."""

    def __str__(self) -> str:
        """Returns how it was read, for people."""
        return f"read as {ENCODINGS[self.encoding]} with cells separated by {self.delimiter}"


def read_csv(file: Path, *, delimiter: str | None = None, encoding: str | None = None) -> CsvFile:
    """Reads the file, or stdin when it is `-`; a delimiter or encoding that is None is found. Raises FileUnreadable."""
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise FileUnreadable(f"{file}: {(error.strerror or str(error)).lower()}") from None
    text, found_encoding = _decoded(file, content, encoding)
    if not text.strip():
        raise FileUnreadable(f"{file}: the file is empty")
    lines_before, text, named = _without_separator_line(text)
    found_delimiter = delimiter or named or _found_delimiter(text)
    rows = list(_rows(file, text, lines_before, DELIMITERS[found_delimiter]))
    if not rows:
        raise FileUnreadable(f"{file}: there is no header")
    header, *rest = rows
    return CsvFile([printable(cell.strip(), MAX_NAME) for cell in header.cells], rest, found_encoding, found_delimiter)


def _decoded(file: Path, content: bytes, encoding: str | None) -> tuple[str, str]:
    if content.startswith(b"PK\x03\x04"):
        raise FileUnreadable(f"{file}: this is a workbook or an archive; save the table as CSV")
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "")
    if encoding and marked and marked != encoding:
        raise FileUnreadable(
            f"{file}: the file begins with the mark of {ENCODINGS[marked]}, so it is not {ENCODINGS[encoding]}: "
            "leave --encoding out"
        )
    name = encoding or marked or _found_encoding(file, content)
    codec = _CODECS[name]
    if name == "utf-16" and not marked:
        codec = "utf-16-be" if content.startswith(b"\0") else "utf-16-le"
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(codec, "ignore").count("\n") + 1
        raise FileUnreadable(
            f"{file}, line {line}: the byte 0x{content[error.start]:02X} is not {ENCODINGS[name]}; {SAVE_IT}"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileUnreadable(f"{file}, line {line}: there is a NUL character, which no text has; {SAVE_IT}")
    return text, name


def _found_encoding(file: Path, content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        if not content.decode("utf-8", "ignore").isascii():
            line = content.count(b"\n", 0, error.start) + 1
            raise FileUnreadable(
                f"{file}, line {line}: the byte 0x{content[error.start]:02X} is not UTF-8, though other places of the "
                f"file are; {SAVE_IT}"
            ) from None
        return "windows-1252"
    return "utf-8"


def _without_separator_line(text: str) -> tuple[int, str, str]:
    """Returns how many lines were removed (0 or 1), the rest, and the delimiter that the line `sep=;` names."""
    line = re.match(r"\"?sep=(.)\"?(\r\n|\r|\n)", text, re.IGNORECASE)
    named = next((name for name, character in DELIMITERS.items() if line and line[1] == character), "")
    return (1, text[line.end() :], named) if line and named else (0, text, "")


def _found_delimiter(text: str) -> str:
    text = text.lstrip("\r\n")

    def cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))
        except csv.Error:
            return 0

    return max(DELIMITERS, key=lambda name: cells(DELIMITERS[name]))


def _rows(file: Path, text: str, lines_before: int, delimiter: str) -> Iterator[CsvRow]:
    csv.field_size_limit(MAX_CELL)
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = (
            lines_before + reader.line_num + 1
        )  # a quoted cell may go over several lines: this is where the row begins
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FileUnreadable(f"{file}, from line {line} on: {_in_words(error)}") from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield CsvRow(line, cells)


def _in_words(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end" in said:
        return "a quotation mark opens a cell and none closes it"
    if "expected after" in said:
        return "a quotation mark closes a cell and more text follows; within quotation marks write it twice"
    if "field larger" in said:
        return f"a cell has more than {MAX_CELL:,} characters (is a quotation mark missing?)"
    return said
