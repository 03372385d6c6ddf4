"""Webhooks: every event sent to every endpoint that wants it, signed, in order per aggregate, until it is taken."""

from stockward_server.gateway.egress import LOOPBACK, Egress
from stockward_server.gateway.failure_policy import FailurePolicy
from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.gateway.service import run

__all__ = ["LOOPBACK", "Egress", "FailurePolicy", "GatewayMetrics", "run"]
