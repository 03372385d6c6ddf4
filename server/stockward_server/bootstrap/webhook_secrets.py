"""The warning about WEBHOOK_SECRET, the former secret of all parties in both directions."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stockward_server.config import Settings, variable

log = logging.getLogger(__name__)


def warn_of_shared_secret(settings: Settings, missing: Sequence[str]) -> None:
    """Logs that WEBHOOK_SECRET replaces the fields `missing`, and that the next release will not support it."""
    if settings.webhook_secret and missing:
        log.warning("WEBHOOK_SECRET goes with the next release: set %s in its place", ", ".join(map(variable, missing)))
