"""Webhooks: every event told to every endpoint that wants it, signed, in order per aggregate, until it is taken."""

from stockward_server.gateway.egress import LOOPBACK, Egress
from stockward_server.gateway.failing import Patience
from stockward_server.gateway.service import run
from stockward_server.gateway.tally import GatewayTally

__all__ = ["LOOPBACK", "Egress", "GatewayTally", "Patience", "run"]
