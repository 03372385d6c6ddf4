"""The consistency token: with it a client sees its own changes, also in lists that a read replica serves."""

from __future__ import annotations

from threading import Lock
from typing import Any

TOKEN = "stockward-consistency-token"
"""Name of the metadata in which servers return it and clients send it."""


class Consistency:
    """The largest token that was returned to a client; may be shared by threads."""

    def __init__(self) -> None:
        self._token = ""
        self._lock = Lock()

    @property
    def token(self) -> str:
        """The token, empty before the first change."""
        return self._token

    def observe(self, token: str) -> None:
        """Keeps a token if it is larger than that of before. They compare as text."""
        with self._lock:
            self._token = max(self._token, token)

    def note(self, trailers: Any) -> None:
        """Keeps the token in the trailing metadata of a call, if there is one."""
        for name, value in trailers or ():
            if name == TOKEN:
                self.observe(value)

    def metadata(self, key: str) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of a call with this key."""
        authorization = ("authorization", f"Bearer {key}")
        return (authorization, (TOKEN, self._token)) if self._token else (authorization,)
