"""Webhooks: each event is sent to each endpoint that subscribes to it, signed, in order per aggregate, until it is
accepted or its attempts are used up."""

from stockward_server.gateway.egress import LOOPBACK, Egress
from stockward_server.gateway.failure_policy import FailurePolicy
from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.gateway.service import run

__all__ = ["LOOPBACK", "Egress", "FailurePolicy", "GatewayMetrics", "run"]
