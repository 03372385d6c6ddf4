"""The calls of the clients and their results."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    """Acknowledged: it took effect exactly once."""
    FAIL = "fail"
    """Refused: it had no effect."""
    UNKNOWN = "unknown"
    """No definite response: it took effect once or not at all."""


@dataclass(slots=True)
class Attempt:
    """One attempt of a call. Times are seconds since the history began."""

    server: int
    start: float
    end: float
    code: str
    """gRPC status code; `CANCELLED` also when the client cancelled."""
    reason: str = ""
    """Reason of the ErrorInfo, if any."""
    definite: bool = True
    """Whether the response determines the outcome of the call."""


@dataclass(slots=True)
class Call:
    """One request with all attempts under its request_id."""

    number: int
    client: str
    method: str
    request: Any
    request_id: str
    attempts: list[Attempt] = field(default_factory=list)
    responses: list[Any] = field(default_factory=list)
    """All acknowledgements: one, unless several attempts ran concurrently."""

    @property
    def response(self) -> Any:
        return self.responses[0] if self.responses else None

    @property
    def outcome(self) -> Outcome:
        """The outcome. A refusal after an unknown attempt stays unknown: that attempt may still take effect."""
        if self.response is not None:
            return Outcome.OK
        if self.attempts and all(attempt.definite for attempt in self.attempts):
            return Outcome.FAIL
        return Outcome.UNKNOWN

    @property
    def reason(self) -> str:
        """Reason of the last refusal."""
        return self.attempts[-1].reason if self.attempts else ""

    @property
    def start(self) -> float:
        return self.attempts[0].start if self.attempts else 0.0

    @property
    def end(self) -> float:
        return max((attempt.end for attempt in self.attempts), default=0.0)

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "client": self.client,
            "method": self.method,
            "request": _plain(self.request),
            "request_id": self.request_id,
            "attempts": [
                {
                    "server": a.server,
                    "start": round(a.start, 4),
                    "end": round(a.end, 4),
                    "code": a.code,
                    "reason": a.reason,
                    "definite": a.definite,
                }
                for a in self.attempts
            ],
            "outcome": self.outcome.value,
            "response": _plain(self.response),
        }

    def __str__(self) -> str:
        tries = ", ".join(f"server {a.server}: {a.code} {a.reason}".rstrip() for a in self.attempts)
        return (
            f"{self.start:9.3f} – {self.end:.3f} s  {self.client} {self.method} {self.outcome} [{tries}] "
            f"{json.dumps(_plain(self.request), sort_keys=True)}"
        )


def _plain(message: Any) -> Any:
    return MessageToDict(message) if isinstance(message, Message) else message


class History:
    """All calls and faults, on one clock."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self.calls: list[Call] = []
        self.notes: list[tuple[float, str]] = []
        """Faults with their times."""

    def now(self) -> float:
        return time.monotonic() - self._begin

    def begin(self, client: str, method: str, request: Any, request_id: str) -> Call:
        call = Call(len(self.calls), client, method, request, request_id)
        self.calls.append(call)
        return call

    def note(self, text: str) -> None:
        self.notes.append((self.now(), text))

    def of(self, *methods: str) -> Iterable[Call]:
        """Returns the calls of these methods."""
        return (call for call in self.calls if call.method in methods)

    def about(self, *words: str) -> list[str]:
        """Returns every line that mentions one of the words, with all faults, in order of time."""
        lines = [(at, f"{at:9.3f}            ⚡ {text}") for at, text in self.notes]
        for call in self.calls:
            text = f"{call} -> {json.dumps(_plain(call.response), sort_keys=True)}"
            if any(word in text or word == call.request_id for word in words):
                lines.append((call.start, text))
        return [line for _, line in sorted(lines)]

    def write(self, path: Path) -> None:
        """Writes one JSON object a line."""
        with path.open("w") as file:
            for call in self.calls:
                file.write(json.dumps(call.as_json()) + "\n")
