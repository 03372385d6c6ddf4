"""Parsers of options and arguments: text to values of the contract. They raise typer.BadParameter (wrong usage)."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

import typer

from stockward_server.commands.output import printable

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from google.type.money_pb2 import Money
    from stockward.catalog.v1.catalog_pb2 import Variant
    from stockward.order.v1.order_pb2 import Address

UNITS = 1_000_000_000
"""Most units that the contract takes in one place."""

PRICE = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)


def moment(text: str) -> datetime:
    """Parses a date or time, in the zone of this machine unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.astimezone()
        timestamp(moment)
    except (ValueError, OverflowError):
        raise _wrong(text, "a date or time such as 2026-11-22 or 2026-11-22T17:00:00Z") from None
    return moment


def whole(least: int, most: int = UNITS) -> Callable[[object], int]:
    """Returns a parser of whole numbers within bounds."""

    def parse(given: object) -> int:
        text = str(given)
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise _wrong(text, f"a whole number from {least:,} to {most:,}")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[object], float]:
    """Returns a parser of numbers within bounds, with or without decimals."""

    def parse(given: object) -> float:
        text = str(given)
        if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,9})?", text, re.ASCII) or not least <= float(text) <= most:
            raise _wrong(text, f"a number from {least:,} to {most:,}")
        return float(text)

    return parse


def identifier(text: str) -> str:
    """Parses a UUID; returns it as the contract writes it."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise _wrong(text, "a UUID such as 0190aaaa-0000-7000-8000-000000000000") from None


def _wrong(text: str, expected: str) -> typer.BadParameter:
    return typer.BadParameter(f"“{printable(text)}” is not {expected}")


@overload
def timestamp(moment: datetime) -> Timestamp: ...
@overload
def timestamp(moment: None) -> None: ...
def timestamp(moment: datetime | None) -> Timestamp | None:
    """Returns the time as the contract writes it; None for None."""
    from google.protobuf.timestamp_pb2 import Timestamp

    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def amount(text: str, currency: str) -> Money:
    """Parses an amount such as 19.90."""
    from google.type.money_pb2 import Money

    if not PRICE.fullmatch(text):
        raise _wrong(text, "an amount such as 19.90")
    units, _, part = text.partition(".")
    return Money(currency_code=currency, units=int(units), nanos=int(part.ljust(9, "0")))


def price(text: str) -> Money:
    """Parses an amount with its currency, such as EUR 19.90."""
    currency, blank, number = text.strip().partition(" ")
    if not blank or not re.fullmatch("[A-Za-z]{3}", currency, re.ASCII) or not PRICE.fullmatch(number.strip()):
        raise _wrong(text, "a currency and an amount, such as EUR 19.90")
    return amount(number.strip(), currency.upper())


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """Returns a parser of one of the words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise _wrong(text, f"one of {', '.join(words)}")
        return text.lower()

    return parse


def choice(enum: Any, *flags: str, help: str) -> Any:
    """Returns an option whose values are those of an enum of the contract, in lower case; it parses their numbers."""
    words: dict[str, int] = {word_of(enum.DESCRIPTOR, number): number for number in enum.values() if number}

    def parse(text: str) -> int:
        number = words.get(text.lower().replace("-", "_"))
        if number is None:
            raise _wrong(text, f"one of {', '.join(words)}")
        return number

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return typer.Option(*flags, help=help, parser=parse, metavar="|".join(words), autocompletion=complete)


def counted(text: str) -> tuple[str, int]:
    """Parses `WHAT=UNITS`, such as TEE-L=2; one unit where the number is left out."""
    what, equals, units = text.rpartition("=")
    if not equals:
        return text, 1
    if not what or not re.fullmatch(r"\d{1,10}", units, re.ASCII):
        raise _wrong(text, "a SKU and units, such as TEE-L=2")
    return what, int(units)


def numbered(text: str) -> dict[str, int]:
    """Parses `LINE=UNITS`, such as 1=2, to fields of a line of an order."""
    line, units = counted(text)
    if not re.fullmatch(r"\d{1,4}", line, re.ASCII):
        raise _wrong(text, "the number of a line and units, such as 1=2")
    return {"line_number": int(line), "quantity": units}


def pair(text: str) -> tuple[str, str]:
    """Parses `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise _wrong(text, "a name and a value, such as X-Shop=blue")
    return name, value


def variant(text: str, currency: str) -> Variant:
    """Parses `SKU PRICE [untracked] [OPTION=VALUE ...]`, quoted as in a shell, such as `TEE-L 19.90 Size=L`."""
    from stockward.catalog.v1.catalog_pb2 import Variant

    try:
        sku, price, *words = shlex.split(text)
        pairs = dict(word.split("=", 1) for word in words if word != "untracked")
    except ValueError:
        raise _wrong(
            text,
            "a SKU, a price and options, such as TEE-L 19.90 Size=L, or PDF 7.50 untracked for what never runs out",
        ) from None
    return Variant(
        sku=sku,
        title=" / ".join(pairs.values()),
        price=amount(price, currency),
        options=pairs,
        untracked="untracked" in words,
    )


def address(text: str) -> Address:
    """Parses a postal address: recipient, lines, postal code with city, and country, divided by semicolons."""
    from stockward.order.v1.order_pb2 import Address

    parts = [part.strip() for part in text.split(";")]
    postal_code, is_given, city = parts[-2].partition(" ") if len(parts) > 3 else ("", "", "")
    if not (parts[0] and is_given and re.fullmatch("[A-Z]{2}", parts[-1])):
        raise _wrong(text, "an address such as 'Ada Lovelace; Main Street 1; 10115 Berlin; DE'")
    return Address(recipient=parts[0], lines=parts[1:-2], postal_code=postal_code, city=city, country_code=parts[-1])


def word_of(enum: Any, number: int) -> str:
    """Returns the value in lower case, without the prefix that the contract gives it; empty for the unspecified one."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    value = enum.values_by_number.get(number)
    return (value.name.removeprefix(prefix).lower() if value else str(number)) if number else ""
