"""A message of the contract from a JSON file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TypeVar

import typer
from google.protobuf.message import Message

from stockward_server.commands.output import printable

Kind = TypeVar("Kind", bound=Message)

MAX_MESSAGE = 1000
"""Characters of an error message."""


def read_message(file: Path, message: Kind) -> Kind:
    """Returns the message, filled from the file; `-` is stdin. Raises BadParameter saying what is wrong and where."""
    from stockward_server.wire.json_parser import JsonInvalid, parse

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
        document = json.loads(text)
        if not isinstance(document, dict):
            raise typer.BadParameter(f"{file}: it must hold one JSON object, as --json prints it")
        return parse(document, message)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file}: this is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{file}, line {error.lineno}, column {error.colno}: this is not JSON") from None
    except RecursionError:
        raise typer.BadParameter(f"{file}: objects and lists are nested too deeply") from None
    except JsonInvalid as error:
        raise typer.BadParameter(f"{file}: {printable(str(error), MAX_MESSAGE)}") from None
