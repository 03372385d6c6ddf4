"""The log: a line a record for people, or a JSON object a line for machines.

Whatever is logged while a call is under way says which call: method, actor, request id and trace id. What an exception
says is reported only where it cannot quote what a customer sent or what the database holds; of all others the type, and
where they were raised.
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
"""What a record of a call says of it."""


def set_up(level: str, form: str) -> None:
    """Everything from `level` on goes to stderr, as `text` or `json`. Replaces what was set up before."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(prepare)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def note_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody took; the event loop's own words would quote it."""
    log.error("%s", context["message"], exc_info=context.get("exception"))


def prepare(record: logging.LogRecord) -> bool:
    """Adds what is known of the call under way, and removes from exceptions what must not be logged."""
    for name, value in context().items():
        if not hasattr(record, name):
            setattr(record, name, value)
    if isinstance(record.args, tuple):
        record.args = tuple(_Told(text_of(a)) if isinstance(a, BaseException) else a for a in record.args)
    return True


def context() -> dict[str, str]:
    """Of the call under way; empty outside of one."""
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
    """What may be logged of an exception: its type, and more only where that is known to be harmless."""
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


class _Told(str):
    """A text that `%r` shows as it is."""

    def __repr__(self) -> str:
        return str(self)


class TextLines(logging.Formatter):
    """`time LEVEL logger: message [context]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        known = {name: found for name in CONTEXT if (found := getattr(record, name, None))}
        line = super().formatMessage(record)
        return f"{line} [{' '.join(f'{name}={found}' for name, found in known.items())}]" if known else line

    def formatException(self, ei: Any) -> str:
        return "\n".join(_traceback(ei[1]))


class JsonLines(logging.Formatter):
    """One object a line: `time` (RFC 3339), `level`, `logger`, `message`, and whatever else the record says."""

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
    """As Python reports it, the cause first; each exception as `text_of` reports it."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for number, each in enumerate(reversed(chain)):
        yield "Traceback (most recent call last):" if number == 0 else "which led to:"
        yield from "".join(traceback.format_tb(each.__traceback__)).rstrip().splitlines()
        yield text_of(each)
