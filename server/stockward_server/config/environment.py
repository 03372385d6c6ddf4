"""The settings in force: environment variables, then `.env`, then a stack running here, then defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stockward_server.config.production import WHERE
from stockward_server.config.run_file import RunFile, find_home
from stockward_server.config.settings import PREFIX, Environment, Settings, SettingsError, variable

CLIENT_FILES = {"ca": "server_ca", "cert": "client_cert", "key": "client_key"}
"""Fields of Settings by the names of client files in `run.json`."""


class _RunningStack(PydanticBaseSettingsSource):
    """Defaults from the stack of this folder or of one above it: its directory and, while it runs, its services."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # __call__ returns all values at once

    def __call__(self) -> dict[str, Any]:
        if str(self.current_state.get("environment", "")).lower() == Environment.PRODUCTION:
            return {}
        named = self.current_state.get("home")
        home = Path(named) if named else find_home(Path.cwd())
        if home is None:
            return {}
        found = {} if named else {"home": home}
        stack = RunFile.read(home)
        if stack is None:
            return found
        own_queue = "EVENT_QUEUE_URL" in self.current_state
        return found | {
            "DATABASE_URL": stack.database,
            "EVENT_QUEUE_URL": stack.nats,
            **({} if own_queue else {"event_queue_api": stack.nats_api}),
            **stack.webhook_secrets,
            **{CLIENT_FILES[name]: file for name, file in stack.tls.items()},
        }


class _EnvironmentSettings(Settings, BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        use_attribute_docstrings=False,  # inherited from Settings, so its source need not be parsed again
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, _RunningStack(settings_cls)


class Use(StrEnum):
    """The process that the settings are for. In production the services that it uses have no defaults, and others are
    not required, so that no process needs secrets that it does not use."""

    SERVER = "server"
    RELAY = "relay"
    GATEWAY = "gateway"
    DATABASE = "database"
    """`stockward migrate` and other commands on the database alone."""
    NONE = "none"
    """The edge, and commands that call a server."""

    @property
    def services(self) -> Sequence[str]:
        """Fields with the URLs of the services that the process uses."""
        return _SERVICES[self]


_SERVICES: Mapping[Use, Sequence[str]] = {
    Use.SERVER: ("database_url", "event_queue_url"),
    Use.RELAY: ("database_url", "event_queue_url"),
    Use.GATEWAY: ("database_url", "event_queue_url"),
    Use.DATABASE: ("database_url",),
    Use.NONE: (),
}


def load_settings(use: Use = Use.SERVER) -> Settings:
    """Returns the settings in force for this process.

    Raises SettingsError where a variable is wrong or missing, or `.env` cannot be read.
    """
    try:
        settings = _EnvironmentSettings()
    except ValidationError as error:
        raise SettingsError([_problem(detail) for detail in error.errors(include_input=False)]) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError([".env: expected a readable file of NAME=value lines in UTF-8"]) from None
    if settings.environment is Environment.PRODUCTION:
        for field in use.services:
            if field not in settings.model_fields_set:
                raise SettingsError([f"{variable(field)}: required {WHERE}"])
    return settings


def _problem(detail: ErrorDetails) -> str:
    message = re.sub(r"^Value error, ", "", detail["msg"])
    if not detail["loc"]:
        return message  # a rule between fields, which names its variables
    name = str(detail["loc"][0])
    field = Settings.model_fields.get(name)
    if field and _is_number(detail["type"]):
        message = f"expected {_number(field)}"
    elif detail["type"].startswith("bool_"):
        message = "expected true or false"
    message = re.sub(r"^(Input|String|Value) should ", "expected to ", message)
    return f"{variable(name) if field else name.upper()}: {message}"


def _is_number(kind: str) -> bool:
    """Returns whether a pydantic error concerns a number or its bounds."""
    return kind.startswith(("int_", "float_", "finite_", "greater_than", "less_than"))


def _number(field: FieldInfo) -> str:
    """Describes the values of a numeric field, such as `a whole number from 2 up to 1,000`."""
    kinds = get_args(field.annotation) or (field.annotation,)
    words = "a whole number" if int in kinds else "a number"
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "gt", "le") if hasattr(each, name)
    }
    if "gt" in bounds:
        words += f" above {bounds['gt']:,}"
    if "ge" in bounds:
        words += f" from {bounds['ge']:,}"
    if "le" in bounds:
        words += f" up to {bounds['le']:,}"
    return words
