"""The script that refuses callers by their headers: `question.lua` with the server's refusal in front."""

from __future__ import annotations

from pathlib import Path

from stockward_server.auth.identity import no_credential
from stockward_server.edge.stub_replies import lua_headers
from stockward_server.wire.status import status_of

SCRIPT = Path(__file__).with_name("question.lua")


def question_script() -> str:
    """Returns the Lua, in which a call without a credential gets what the server would answer."""
    return f"local NO_CREDENTIAL = {lua_headers(status_of(no_credential()))}\n{SCRIPT.read_text(encoding='utf-8')}"
