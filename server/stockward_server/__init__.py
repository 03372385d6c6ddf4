"""Stockward: catalog, inventory and orders over gRPC, with durable events and webhooks."""

from importlib.metadata import version

__version__ = version("stockward")
