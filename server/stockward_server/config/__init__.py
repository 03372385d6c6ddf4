"""Settings of every process: environment variables, then `.env`, then a stack running here, then defaults.

``Settings`` itself reads nothing, so that tests and tools can build one from values; only ``load_settings`` reads
the environment.
"""

from stockward_server.config.checks import check_address, is_loopback
from stockward_server.config.environment import Use, load_settings
from stockward_server.config.settings import (
    PREFIX,
    WEBHOOK_PARTIES,
    WEBHOOK_SECRETS,
    Environment,
    LogFormat,
    LogLevel,
    Plaintext,
    Settings,
    SettingsError,
    variable,
    variables,
)
from stockward_server.config.unknown import unknown_variables

__all__ = [
    "PREFIX",
    "WEBHOOK_PARTIES",
    "WEBHOOK_SECRETS",
    "Environment",
    "LogFormat",
    "LogLevel",
    "Plaintext",
    "Settings",
    "SettingsError",
    "Use",
    "check_address",
    "is_loopback",
    "load_settings",
    "unknown_variables",
    "variable",
    "variables",
]
