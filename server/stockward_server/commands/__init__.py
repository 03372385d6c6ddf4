"""Subcommands of `stockward`, a module each.

A module offers `app`, a `typer.Typer` that is a group (`group("keys")`) or has a command or several. `COMMANDS` says
where each one is and what the list of commands says about it, so that no module is imported that is not called.
Settings come from `stockward_server.config.load_settings()`, addresses and keys of a running stack from
`stockward_server.config.run_file.RunFile.read`. Heavy imports belong inside the command's function.
"""

from __future__ import annotations

from typing import NamedTuple


class Listed(NamedTuple):
    """A command as the list of commands shows it."""

    module: str
    summary: str


COMMANDS = {
    "products": Listed("products", "Products: create, edit, publish, archive."),
    "stock": Listed("stock", "Stock: list, receive, count, adjust, reserve, synchronise."),
    "orders": Listed("orders", "Orders: list, create, process, fulfil, cancel, return, record payments."),
    "import": Listed("imports", "Import products from files."),
    "events": Listed("events", "Events: list, follow, publish again."),
    "webhooks": Listed("webhooks", "Webhooks: endpoints that receive events, their filters, limits and secrets."),
    "deliveries": Listed("deliveries", "Deliveries: what was sent to which endpoint, dead letters, replay."),
    "keys": Listed("keys", "API keys: create, list, rotate, revoke. Works on the database itself (DATABASE_URL)."),
    "sessions": Listed("sessions", "Sessions: credentials that end by themselves, for browsers and the like."),
    "console": Listed(
        "console", "Open the console in a browser, signed in by a link that is good once and for a minute."
    ),
    "whoami": Listed("status", "Show whose key this is, its role, and when it ends."),
    "customers": Listed(
        "customers", "Personal data: export and erase it. Works on the database itself (DATABASE_URL)."
    ),
    "audit": Listed(
        "audit", "Compare the stock counters with the ledger and the open claims; exit code 1 when they differ."
    ),
    "status": Listed(
        "status", "Show what a server found out about the shop, and what waits; `doctor` looks at more, from here."
    ),
    "doctor": Listed(
        "doctor", "Check settings, database, NATS, server, queues, endpoints and stock; nothing is changed."
    ),
    "health": Listed(
        "health",
        "Check whether a server, relay, gateway or edge on this machine is ready; exit code 1 when it is not.",
    ),
    "config": Listed("settings", "Show the settings in force, secrets masked."),
    "version": Listed("version", "Show the version and the commit that it was built from."),
    "migrate": Listed("migrate", "Apply new migrations to the database."),
    "serve": Listed("processes", "Run the gRPC server."),
    "relay": Listed("processes", "Run the relay, which publishes committed events to NATS."),
    "gateway": Listed("processes", "Run the webhook gateway."),
    "edge": Listed("edge", "Envoy in front of the servers: REST, gRPC-Web, balancing."),
}
"""By name, in the order of the list."""
