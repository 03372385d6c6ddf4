"""Endpoints that accept nothing for days: staff are warned, and in the end the endpoint is disabled."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stockward_server.domain.endpoint_changes import ANSWERED, NOTHING_TAKEN
from stockward_server.gateway.endpoint_limiter import EndpointLimiter
from stockward_server.storage.webhooks.endpoint_health import SqlEndpointHealth

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """How long an endpoint may fail before that is reported, and before it is disabled."""

    warn_after: timedelta = timedelta(days=1)
    disable_after: timedelta = timedelta(days=5)


async def note_outcomes(
    limiters: Iterable[EndpointLimiter], store: SqlEndpointHealth, failure_policy: FailurePolicy
) -> None:
    """Records since when endpoints fail, warns of them, and disables those that responded 410 or failed for too long.

    The time runs from the first failure after a success, as any gateway saw it. It is checked only after a new failure,
    so an endpoint to which nothing was sent is not disabled for earlier failures.
    """
    for limiter in limiters:
        outcomes, endpoint = limiter.take_outcomes(), limiter.endpoint
        if limiter.gone:
            reason = f"{ANSWERED}{limiter.gone}: no more webhooks are wanted there"
            if await store.disable(endpoint.endpoint_id, endpoint.version, reason):
                log.error("endpoint %s is disabled: %s", endpoint.endpoint_id, reason)
            continue
        if outcomes.accepted and endpoint.failing_since:
            await store.recovered(endpoint.endpoint_id)
        if outcomes.first_failure:
            if outcomes.accepted or endpoint.failing_since is None:
                await store.failing(endpoint.endpoint_id, outcomes.first_failure)
            else:
                await _judge(limiter, outcomes.last_error, store, failure_policy)


async def _judge(limiter: EndpointLimiter, error: str, store: SqlEndpointHealth, failure_policy: FailurePolicy) -> None:
    """Warns of the endpoint or disables it. This process's clock says when to ask; the store decides by the database's
    clock, and only one gateway succeeds."""
    endpoint, since = limiter.endpoint, limiter.endpoint.failing_since
    assert since
    failing_for = datetime.now(UTC) - since
    reason = f"{NOTHING_TAKEN}{since:%Y-%m-%d %H:%M} UTC; the latest failure: {error}"
    if failing_for >= failure_policy.disable_after:
        if await store.disable(endpoint.endpoint_id, endpoint.version, reason, failure_policy.disable_after):
            limiter.closed = True
            log.error("endpoint %s is disabled: %s", endpoint.endpoint_id, reason)
    elif failing_for >= failure_policy.warn_after and not endpoint.warned:
        warned = await store.warn(endpoint.endpoint_id, reason, failure_policy.warn_after)
        if warned:
            log.warning("endpoint %s is failing: %s", endpoint.endpoint_id, reason)
