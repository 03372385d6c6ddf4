"""The script that refuses callers by their headers: `question.lua`, preceded by the server's refusal."""

from __future__ import annotations

from pathlib import Path

from stockward_server.domain.errors import CredentialsInvalid
from stockward_server.edge.stub_replies import lua_headers
from stockward_server.wire.status import status_of

SCRIPT = Path(__file__).with_name("question.lua")


def question_script() -> str:
    """Returns Lua that responds to a call without a credential as the server would."""
    refusal = lua_headers(status_of(CredentialsInvalid.missing()))
    return f"local NO_CREDENTIAL = {refusal}\n{SCRIPT.read_text(encoding='utf-8')}"
