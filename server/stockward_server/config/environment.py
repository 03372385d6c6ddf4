"""The settings in force: environment variables, then `.env`, then a stack running here, then defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stockward_server.config.settings import PREFIX, Environment, Settings, SettingsError, variable
from stockward_server.embedded.home import RunFile

CLIENT_FILES = {"ca": "server_ca", "cert": "client_cert", "key": "client_key"}
"""Settings for what `run.json` calls so."""


class _RunningStack(PydanticBaseSettingsSource):
    """Where nothing else says so, the services of the stack that runs in this directory (`stockward run`)."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # only whole answers, below

    def __call__(self) -> dict[str, Any]:
        if str(self.current_state.get("environment", "")).lower() == Environment.PRODUCTION:
            return {}
        stack = RunFile.read(Path(self.current_state.get("home", Settings.model_fields["home"].default)))
        if stack is None:
            return {}
        return {
            "DATABASE_URL": stack.database,
            "EVENT_QUEUE_URL": stack.nats,
            "WEBHOOK_SECRET": stack.webhook_secret,
            **{CLIENT_FILES[name]: file for name, file in stack.tls.items()},
        }


class _EnvironmentSettings(Settings, BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
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


def load_settings() -> Settings:
    """The settings in force for this process.

    Raises SettingsError where a variable is wrong or `.env` cannot be read.
    """
    try:
        return _EnvironmentSettings()
    except ValidationError as error:
        raise SettingsError([_problem(detail) for detail in error.errors(include_input=False)]) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError([".env: expected a readable file of NAME=value lines in UTF-8"]) from None


def _problem(detail: ErrorDetails) -> str:
    message = re.sub(r"^Value error, ", "", detail["msg"])
    message = re.sub(r"^(Input|String|Value) should ", "expected to ", message)
    if not detail["loc"]:
        return message  # a rule between fields, which names its variables
    name = str(detail["loc"][0])
    return f"{variable(name) if name in Settings.model_fields else name.upper()}: {message}"
