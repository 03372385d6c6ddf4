"""What is said about WEBHOOK_SECRET, the former secret of every party in both directions."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stockward_server.config import Settings, variable

log = logging.getLogger(__name__)


def warn_of_shared_secret(settings: Settings, missing: Sequence[str]) -> None:
    """Logs that WEBHOOK_SECRET stands in for the settings that are missing, which the next release will not have."""
    if settings.webhook_secret and missing:
        log.warning("WEBHOOK_SECRET goes with the next release: set %s in its place", ", ".join(map(variable, missing)))
