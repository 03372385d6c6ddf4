"""Tracing, if the settings ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stockward_server.config import Settings, SettingsError, variable

if TYPE_CHECKING:  # an extra
    from stockward_server.observability.tracing import Tracing


@asynccontextmanager
async def tracing(settings: Settings, process: str) -> AsyncIterator[Tracing | None]:
    """Yields the tracer of this process, None if no collector is set; leaving sends the last spans.

    Raises SettingsError where OpenTelemetry is not installed.
    """
    if settings.otlp_endpoint is None:
        yield None
        return
    try:
        from stockward_server.observability.tracing import Tracing
    except ModuleNotFoundError:
        raise SettingsError(
            [f"{variable('otlp_endpoint')}: expected OpenTelemetry to be installed: stockward[tracing]"]
        ) from None
    tracer = Tracing(process, settings.otlp_endpoint)
    try:
        yield tracer
    finally:
        await asyncio.to_thread(tracer.close)
