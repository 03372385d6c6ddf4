"""Traces, where they are wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stockward_server.config import Settings, SettingsError, variable

if TYPE_CHECKING:  # an extra
    from stockward_server.observability.tracing import Tracing


def tracing_of(settings: Settings, process: str) -> Tracing | None:
    """The traces of this process, where they are wanted. SettingsError where what they need is not installed."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from stockward_server.observability.tracing import Tracing
    except ModuleNotFoundError:
        raise SettingsError(
            [f"{variable('otlp_endpoint')}: expected OpenTelemetry to be installed: stockward[tracing]"]
        ) from None
    return Tracing(process, settings.otlp_endpoint)


async def end(tracing: Tracing | None) -> None:
    if tracing is not None:
        await asyncio.to_thread(tracing.close)
