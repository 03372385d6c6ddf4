"""The script that refuses callers by their headers: `question.lua` with the server's refusal in front."""

from __future__ import annotations

from pathlib import Path

from stockward_server.domain.errors import CredentialsInvalid
from stockward_server.edge.stub_replies import lua_headers
from stockward_server.wire.status import status_of

SCRIPT = Path(__file__).with_name("question.lua")


def question_script() -> str:
    """Returns the Lua, in which a call without a credential gets what the server would answer."""
    refusal = lua_headers(status_of(CredentialsInvalid.missing()))
    return f"local NO_CREDENTIAL = {refusal}\n{SCRIPT.read_text(encoding='utf-8')}"
