"""Webhooks: every event told to every endpoint that wants it, signed, in order per aggregate, until it is taken."""

from stockward_server.gateway.service import run

__all__ = ["run"]
