"""The script that refuses callers by their headers: `question.lua` with the server's refusal in front."""

from __future__ import annotations

import base64
from pathlib import Path

from stockward_server.auth.identity import no_credential
from stockward_server.wire.status import status_of

SCRIPT = Path(__file__).with_name("question.lua")


def question_script() -> str:
    """Returns the Lua, in which a call without a credential gets what the server would answer."""
    status = status_of(no_credential())
    headers = {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": str(status.code),
        "grpc-message": status.message,
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("="),
    }
    refusal = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    return f"local NO_CREDENTIAL = {{ {refusal} }}\n{SCRIPT.read_text(encoding='utf-8')}"
