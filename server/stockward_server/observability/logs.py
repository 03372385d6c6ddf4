"""The log: a line a record for people, or a JSON object a line for machines.

Records of a call have its method, actor, request id and trace id. The message of an exception is logged only where it
cannot quote a customer's input or values of the database; of others only the type and the traceback are logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import nats.errors

from stockward_server.api.calls.log import callers_request_id
from stockward_server.api.calls.trace import TRACEPARENT, traceparent
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import Refusal
from stockward_server.runtime.supervision import Unavailable

log = logging.getLogger(__name__)

OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

CONTEXT = ("method", "actor", "request_id", "trace_id")
"""Attributes of a record that identify its call."""


def set_up(level: str, form: str) -> None:
    """Logs everything from `level` on to stderr, as `text` or `json`. Replaces an earlier configuration."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(prepare)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def note_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs an exception that no code handled; asyncio's default handler would quote its message."""
    log.error("%s", context["message"], exc_info=context.get("exception"))


def prepare(record: logging.LogRecord) -> bool:
    """Adds the attributes of the present call, and removes from exceptions what must not be logged."""
    for name, value in context().items():
        if not hasattr(record, name):
            setattr(record, name, value)
    if isinstance(record.args, tuple):
        record.args = tuple(_Unquoted(text_of(a)) if isinstance(a, BaseException) else a for a in record.args)
    return True


def context() -> dict[str, str]:
    """Returns the attributes of the present call (CONTEXT); empty outside of a call."""
    found = {}
    call = current_call.get(None)
    if call is not None:
        found = {"method": call.method, "actor": call.caller.actor}
    if request_id := callers_request_id():
        found["request_id"] = request_id
    if trace := TRACEPARENT.fullmatch(traceparent()):
        found["trace_id"] = trace[1]
    return found


def text_of(error: BaseException) -> str:
    """Returns what may be logged of an exception: its type, and its message only where that is harmless."""
    name = type(error).__name__
    match error:
        case Refusal():
            return f"{name}: {error.reason}"
        case asyncpg.PostgresError():
            where = [getattr(error, part, None) for part in ("table_name", "column_name", "constraint_name")]
            return " ".join([f"{name}: SQLSTATE {error.sqlstate}", *filter(None, where)])
        case asyncpg.InterfaceError():
            return name if isinstance(error, ValueError) else f"{name}: {error}"  # the former quotes arguments
        case Unavailable() | nats.errors.Error() | TimeoutError():
            return f"{name}: {error}" if str(error) else name
        case OSError():
            return f"{name}: {error.strerror or error}"
    return name


class _Unquoted(str):
    """A text that `%r` formats without quotes."""

    def __repr__(self) -> str:
        return str(self)


class TextLines(logging.Formatter):
    """Formats a record as `time LEVEL logger: message [context]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        known = {name: found for name in CONTEXT if (found := getattr(record, name, None))}
        line = super().formatMessage(record)
        return f"{line} [{' '.join(f'{name}={found}' for name, found in known.items())}]" if known else line

    def formatException(self, ei: Any) -> str:
        return "\n".join(_traceback(ei[1]))


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object: `time` (RFC 3339), `level`, `logger`, `message` and extra attributes."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in OF_EVERY_RECORD}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = list(_traceback(record.exc_info[1]))
        return json.dumps(line, default=str)


def _traceback(error: BaseException | None) -> Iterator[str]:
    """Yields the lines of a traceback, the cause first, each exception as `text_of` returns it."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for number, each in enumerate(reversed(chain)):
        yield "Traceback (most recent call last):" if number == 0 else "which led to:"
        yield from "".join(traceback.format_tb(each.__traceback__)).rstrip().splitlines()
        yield text_of(each)
