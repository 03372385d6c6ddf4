"""Webhooks: every event told to every endpoint that wants it, signed, in order per aggregate, until it is taken."""

from stockward_server.gateway.egress import LOOPBACK, Egress
from stockward_server.gateway.failure_policy import Patience
from stockward_server.gateway.metrics import GatewayTally
from stockward_server.gateway.service import run

__all__ = ["LOOPBACK", "Egress", "GatewayTally", "Patience", "run"]
