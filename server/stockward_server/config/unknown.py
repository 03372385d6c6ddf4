"""Variables that look like settings and are none: a misspelt setting has no effect, and nothing else says so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from stockward_server.config.settings import PREFIX, variables

OPTIONS = ("STOCKWARD_ADDRESS", "STOCKWARD_KEY")
"""Variables of options of the command line, which are no settings."""

OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP)(_\w+)?)?$")
"""Names that Kubernetes makes for each service of a namespace, such as `STOCKWARD_SERVER_PORT_50051_TCP`."""

ALIKE, ALMOST = 0.6, 0.9
"""How similar the names are, from 0 to 1: of the setting to suggest for a variable with our prefix, and of a variable
without it to a setting that is not set, such as `DATABASE_URI`."""


def unknown_variables() -> Sequence[str]:
    """Returns a warning for each variable of the environment or of `.env` that seems to be meant as a setting. Values
    are not part of it. Call it after `load_settings`, which refuses a `.env` that cannot be read."""
    return warnings_of({**dotenv_values(Path(".env"), interpolate=False, encoding="utf-8"), **os.environ})


def warnings_of(environment: Mapping[str, str | None]) -> Sequence[str]:
    """Returns the warnings for these variables, by name."""
    known = {*variables(), *OPTIONS}
    unset = [name for name in known if not environment.get(name)]
    warnings = []
    for name in sorted(environment):
        upper = name.upper()  # settings are found whatever their case
        if upper in known or OF_KUBERNETES.search(upper):
            continue
        ours = upper.startswith(PREFIX)
        near = get_close_matches(upper, known if ours else unset, n=1, cutoff=ALIKE if ours else ALMOST)
        if ours or near:
            hint = f"; did you mean {near[0]}?" if near else ": `stockward config` lists all settings"
            warnings.append(f"{name} is no setting and has no effect{hint}")
    return warnings
