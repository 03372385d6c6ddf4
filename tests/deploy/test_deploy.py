"""What stands in deploy/ fits together, and fits the program: commands, settings, ports, probes, times, rights."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from stockward_server.config import WEBHOOK_SECRETS, Settings, Use, load_settings, variable, variables
from tests.cli_tree import problem_of
from tests.terminal import clean_environment

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
FINAL = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
IMAGE = dict(re.findall(r"([A-Z_]+)=(\S+)", "\n".join(re.findall(r"^ENV (.*)$", FINAL, re.MULTILINE))))
"""Variables of the image."""

SECRETS = {
    "DATABASE_URL": "postgresql://stockward:secret@db.internal:5432/stockward?sslmode=verify-full&sslrootcert=/roots.pem",
    "EVENT_QUEUE_URL": "nats://a:p@a:4222,nats://a:p@b:4222,nats://a:p@c:4222",
    **{variable(field): "whsec_" + b64encode(secrets.token_bytes(32)).decode() for field in WEBHOOK_SECRETS},
}

USES = {
    "server": Use.SERVER,
    "relay": Use.RELAY,
    "gateway": Use.GATEWAY,
    "migrate": Use.DATABASE,
    "edge": Use.NONE,
}
"""What each workload uses."""

WEBHOOKS = {"server": WEBHOOK_SECRETS[2:], "gateway": WEBHOOK_SECRETS[:2]}
"""Secrets of webhooks that each uses: a server checks with them what comes in, a gateway signs what goes out."""

SECRET = {field for use in Use for field in use.services} | {
    field for field in Settings.model_fields if field.endswith("_secret")
}
"""Settings that are secrets, or addresses with a password in them."""

EDGE_NOTICE = 15
"""Seconds for which Envoy goes on before it is asked to end, which it does at once."""


def settings_of(monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str], use: Use = Use.SERVER) -> Settings:
    """Those of a process with these variables beside the image's, and no other."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in {**IMAGE, **given}.items():
        if name != "PATH":
            monkeypatch.setenv(name, value)
    return load_settings(use)


def stockward_calls(command: list[str]) -> Iterator[list[str]]:
    """The words behind each `stockward`, also of those that a shell is given."""
    if command[0] == "sh":
        for part in re.split(r";|&&", command[-1]):
            yield from stockward_calls(shlex.split(part.split(">")[0]) or ["true"])
    elif command[0] == "stockward":
        yield command[1:]
    else:
        assert command[0] in ("envoy", "exec"), f"{command[0]} is no program of the image"


# Compose


def substituted(text: str) -> str:
    """As compose does with `.env` filled in but for what need not be there."""
    return re.sub(r"\$\{(\w+)(:-)?[^}]*\}", lambda found: SECRETS.get(found[1], "" if found[2] else "secret"), text)


OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("stockward:")}


def test_the_file_is_what_compose_takes() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, DEPLOY / "compose.yaml"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_compose_runs_what_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    for call in stockward_calls([*service.get("entrypoint", ["stockward"]), *service["command"]]):
        assert not problem_of(call)
    check = service.get("healthcheck", {})
    assert check.get("disable") or not problem_of(check.get("test", ["CMD", "stockward", "health"])[2:])
    assert set(service["environment"]) <= set(variables())
    filled = {key: substituted(value) for key, value in service["environment"].items() if "WEBHOOK_URL" not in key}
    assert {variables()[key] for key in filled} & SECRET == {
        *USES[name].services,
        *WEBHOOKS.get(name, ()),
        *(("webhook_secret",) if name in WEBHOOKS else ()),  # for this release
    }
    user = urlsplit(filled.get("EVENT_QUEUE_URL", "")).username
    assert user in (None, name), f"{name} has another one's rights in NATS"
    settings = settings_of(monkeypatch, filled, USES[name])
    assert int(service["stop_grace_period"].removesuffix("s")) >= settings.stop_seconds
    for other, condition in service.get("depends_on", {}).items():
        assert other in COMPOSE["services"]
        healthy = condition["condition"] == "service_healthy"
        assert not healthy or "healthcheck" in COMPOSE["services"][other] or other in OURS


def test_compose_has_every_process_and_asks_for_every_secret() -> None:
    assert set(OURS) == {"migrate", "server", "relay", "gateway", "edge"}
    wanted = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert wanted == offered
    upstream = "server:" + IMAGE["STOCKWARD_GRPC_ADDRESS"].rpartition(":")[2]
    assert upstream in COMPOSE["services"]["edge"]["command"][0]


# The image


def test_the_image_is_made_of_what_is_there_and_nothing_else() -> None:
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sources = {
        source for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()
    }
    assert sources == {line[1:] for line in ignore if line.startswith("!")}
    assert all((DEPLOY.parent / source).exists() for source in sources)
    assert "*" in ignore


def test_the_image_runs_as_nobody_and_carries_no_build_tools() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", FINAL, re.MULTILINE)[-1]
    assert all(int(each) >= 10_000 for each in user)
    assert "pip" not in FINAL
    assert "--without-pip /opt/stockward" in DOCKERFILE
    assert DOCKERFILE.count("--require-hashes") == 2
    removed = re.findall(r"uninstall --yes (.*)$", DOCKERFILE, re.MULTILINE)[0].split()
    pinned = {
        line.split("==")[0] for line in (DEPLOY.parent / "requirements.txt").read_text().splitlines() if "==" in line
    }
    assert set(removed) <= pinned
    assert "hatchling" in removed


def test_a_container_of_compose_meets_those_that_it_uses_and_nobody_else() -> None:
    networks = {name: set(each.get("networks", ())) for name, each in COMPOSE["services"].items()}
    for name, service in COMPOSE["services"].items():
        assert (service.get("network_mode") == "none") == (not networks[name]), f"{name} is in the network of all"
    meets = {
        name: {other for other, theirs in networks.items() if other != name and theirs & own}
        for name, own in networks.items()
    }
    assert meets == {
        "postgres": set(),
        "migrate": set(),
        "nats": {"server", "relay", "gateway"},
        "relay": {"nats", "server", "gateway"},
        "gateway": {"nats", "server", "relay"},
        "server": {"nats", "relay", "gateway", "edge"},
        "edge": {"server"},
    }
    internal = {name for name, each in COMPOSE["networks"].items() if (each or {}).get("internal")}
    assert {name for name, own in networks.items() if own - internal} == {"server", "gateway", "edge"}
    for name, service in COMPOSE["services"].items():
        reached = any("postgres-socket" in volume for volume in service.get("volumes", ()))
        assert reached == (name == "postgres" or "database_url" in USES.get(name, Use.NONE).services), name


def test_every_foreign_image_can_be_given_by_digest() -> None:
    foreign = {name: each["image"] for name, each in COMPOSE["services"].items() if name not in OURS}
    assert foreign.keys() == {"postgres", "nats"}
    for image in foreign.values():
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z]+:[\w.-]+\}", image)
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"${PYTHON_IMAGE}"}
    assert set(OURS["server"]["build"]["args"]) == {"PYTHON_IMAGE"}


def test_nats_of_compose_has_our_accounts() -> None:
    nats = COMPOSE["services"]["nats"]
    assert 'include "accounts.conf"' in COMPOSE["configs"]["nats"]["content"]
    assert {"source": "nats-accounts", "target": "/etc/nats/accounts.conf"} in nats["configs"]
    accounts = DEPLOY / COMPOSE["configs"]["nats-accounts"]["file"]
    assert set(re.findall(r"\$(NATS_\w+)", accounts.read_text())) == set(nats["environment"])


def test_the_image_speaks_the_programs_language(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name in IMAGE if name.startswith("STOCKWARD_")} <= set(variables())
    settings = settings_of(monkeypatch, SECRETS)
    exposed = {int(port) for port in re.findall(r"^EXPOSE (.*)$", FINAL, re.MULTILINE)[0].split()}
    used = [
        getattr(settings, field) for field in Settings.model_fields if variable(field) in IMAGE and "address" in field
    ]
    assert exposed == {int(address.rpartition(":")[2]) for address in used}
    (check,) = re.findall(r"HEALTHCHECK .* CMD (\[.*\])", FINAL)
    for command in (
        yaml.safe_load(check)[1:],
        *(yaml.safe_load(each) for each in re.findall(r"^CMD (.*)$", FINAL, re.MULTILINE)),
    ):
        assert not problem_of(command)
