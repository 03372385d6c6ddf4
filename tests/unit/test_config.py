"""Settings: where they come from, what is refused and how it is said."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from stockward_dev.home import Home
from stockward_server.cli import app
from stockward_server.config import (
    WEBHOOK_SECRETS,
    Environment,
    Settings,
    SettingsError,
    load_settings,
    unknown_variables,
    variables,
)
from stockward_server.config.run_file import RunFile, find_home

SECRET = "whsec_" + "QUJD" * 10
VERIFIED = "postgresql://db/a?sslmode=verify-full&sslrootcert=roots.pem"
RANDOM_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, and none of our variables."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def running_stack() -> RunFile:
    return RunFile(
        grpc="127.0.0.1:1",
        tls={"ca": "/run/roots.pem"},
        edge="http://127.0.0.1:4",
        gateway="http://127.0.0.1:2",
        admin={},
        nats="nats://token@127.0.0.1:3",
        nats_api="ITS.API",
        database="postgresql://stockward@/running?host=/run",
        keys={},
        webhook_secrets={"PMS_WEBHOOK_SECRET": SECRET},
        webhooks={},
        pids={"supervisor": os.getpid()},
    )


def test_defaults_suit_one_machine() -> None:
    settings = load_settings()
    assert settings.grpc_address == "127.0.0.1:50051"
    assert settings.committer_queue_limit == 10_000
    assert settings.webhook_secret is None


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("STOCKWARD_POOL_SIZE=20\nDATABASE_URL=postgresql://file/a\nUNRELATED=1\n")
    monkeypatch.setenv("STOCKWARD_POOL_SIZE", "30")
    settings = load_settings()
    assert settings.pool_size == 30
    assert settings.database_url.get_secret_value() == "postgresql://file/a"


def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREFRONT_WEBHOOK_URL", "")
    monkeypatch.setenv("STOCKWARD_POOL_SIZE", "")
    settings = load_settings()
    assert (settings.storefront_webhook_url, settings.pool_size) == (None, 10)


def test_the_nearest_home_above_is_found(tmp_path: Path) -> None:
    below = tmp_path / "shop" / "scripts"
    below.mkdir(parents=True)
    assert find_home(below) is None
    (tmp_path / ".stockward").mkdir()
    assert find_home(tmp_path) == find_home(below) == tmp_path / ".stockward"
    (below.parent / ".stockward").write_text("a file is none")
    assert find_home(below) == tmp_path / ".stockward"
    (below.parent / ".stockward").unlink()
    (below.parent / ".stockward").mkdir()
    assert find_home(below) == below.parent / ".stockward"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_the_home_of_another_user_is_not_found(tmp_path: Path) -> None:
    """Its run.json would decide where commands send their keys."""
    (tmp_path / ".stockward").mkdir()
    os.chown(tmp_path / ".stockward", 65534, 65534)
    assert find_home(tmp_path) is None


def test_a_stack_above_fills_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".stockward").mkdir()
    Home(tmp_path / ".stockward").write_run_file(running_stack())
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    settings = load_settings()
    assert settings.home == tmp_path / ".stockward"
    assert settings.database_url.get_secret_value() == running_stack().database
    monkeypatch.setenv("STOCKWARD_HOME", ".stockward")
    assert load_settings().home == Path(".stockward")


@pytest.mark.parametrize("home", [".stockward", "elsewhere"])
def test_a_stack_running_here_fills_in(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("STOCKWARD_HOME", home)
    Path(home).mkdir()
    Home(Path(home)).write_run_file(running_stack())
    assert load_settings().database_url.get_secret_value() == "postgresql://stockward@/running?host=/run"
    assert (load_settings().server_ca, load_settings().client_cert) == (Path("/run/roots.pem"), None)
    monkeypatch.setenv("DATABASE_URL", "postgresql://own/a")
    assert load_settings().database_url.get_secret_value() == "postgresql://own/a"
    assert load_settings().event_queue_url.get_secret_value() == "nats://token@127.0.0.1:3"
    assert load_settings().event_queue_api == "ITS.API"
    monkeypatch.setenv("EVENT_QUEUE_URL", "nats://own")
    assert load_settings().event_queue_api == "$JS.API", "the prefix belongs to the address"


def test_the_file_of_a_stack_that_was_killed_is_ignored() -> None:
    Path(".stockward").mkdir()
    stack = running_stack()
    stack.pids["supervisor"] = 2**22 + 1  # above the largest pid there is
    Home(Path(".stockward")).write_run_file(stack)
    assert "database_url" not in load_settings().model_fields_set


def test_production_takes_no_defaults_for_its_services(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".stockward").mkdir()
    Home(Path(".stockward")).write_run_file(running_stack())
    monkeypatch.setenv("STOCKWARD_ENVIRONMENT", "Production")
    with pytest.raises(SettingsError, match="DATABASE_URL: required"):
        load_settings()
    monkeypatch.setenv("DATABASE_URL", VERIFIED)
    with pytest.raises(SettingsError, match="EVENT_QUEUE_URL: required"):
        load_settings()
    monkeypatch.setenv("EVENT_QUEUE_URL", "tls://server:a@one:4222,tls://server:a@two:4222")
    assert load_settings().environment is Environment.PRODUCTION


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@host/db", "expected postgresql://"),
        ("DATABASE_URL", "postgresql://user:hunter2@host", "expected postgresql://"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/db", "expected postgresql://"),
        ("EVENT_QUEUE_URL", "hunter2", "expected nats://"),
        ("EVENT_QUEUE_URL", "nats://hunter2@a:4222,", "expected nats://"),
        ("WEBHOOK_SECRET", "hunter2", "expected whsec_"),
        ("WEBHOOK_SECRET", "whsec_aHVudGVyMg==", "expected whsec_ followed by the base64 of 24 to 64"),
        ("WEBHOOK_SECRET", f"{SECRET} hunter2", "expected whsec_ followed by the base64 of 24 to 64"),
        ("WEBHOOK_SECRET", ",", "expected whsec_ followed by the base64 of 24 to 64"),
        ("STOREFRONT_WEBHOOK_URL", "hunter2.example/path", "expected http://"),
        ("PMS_WEBHOOK_URL", "ftp://hunter2.example", "expected http://"),
        ("STOCKWARD_GRPC_ADDRESS", "hunter2", "expected HOST:PORT"),
        ("STOCKWARD_GATEWAY_ADDRESS", "hunter2:0", "expected HOST:PORT"),
        ("STOCKWARD_GATEWAY_ADDRESS", "hunter2:65536", "expected HOST:PORT"),
        ("STOCKWARD_JWKS_URL", "http://hunter2.example/keys", "expected https://"),
        ("STOCKWARD_JWT_ALGORITHMS", "RS256,hunter2", "expected some of ES256, EdDSA, RS256"),
        ("STOCKWARD_JWT_ALGORITHMS", "HS256", "expected some of"),
        ("STOCKWARD_JWT_ALGORITHMS", ",", "expected some of"),
        ("STOCKWARD_JWT_ROLES", "staff=hunter2", "expected THEIRS=OURS"),
        ("STOCKWARD_JWT_ROLES", "hunter2", "expected THEIRS=OURS"),
        ("STOCKWARD_POOL_SIZE", "hunter2", "expected a whole number from 2 up to 1,000"),
        ("STOCKWARD_POOL_SIZE", "0", "expected a whole number from 2 up to 1,000"),
        ("STOCKWARD_POOL_SIZE", "2.5", "expected a whole number from 2 up to 1,000"),
        ("STOCKWARD_OUTBOX_POLL_SECONDS", "nan", "expected a number from 0.01 up to 60"),
        ("STOCKWARD_WEBHOOK_WARN_DAYS", "0", "expected a number above 0 up to 365"),
        ("STOCKWARD_SHARE_PORT", "hunter2", "expected true or false"),
        ("STOCKWARD_LOG_LEVEL", "hunter2", "expected to be 'debug', 'info', 'warning' or 'error'"),
        ("STOCKWARD_EVENT_QUEUE_API", "hunter2 >", "expected words separated by dots"),
        ("STOCKWARD_STREAM_NAME", "hunter2.*", "expected 1 to 64 letters A to Z, digits, _ or -"),
        ("STOCKWARD_RESERVATION_TTL_SECONDS", "86400", "expected to be at most"),
        ("STOCKWARD_WEBHOOK_NETWORKS", "10.0.0.0/8, hunter2", "expected networks such as 10.0.0.0/8"),
        ("STOCKWARD_WEBHOOK_NETWORKS", "10.0.0.1/8", "expected networks such as 10.0.0.0/8"),
        ("STOCKWARD_WEBHOOK_WARN_DAYS", "6", "expected to be at most STOCKWARD_WEBHOOK_DISABLE_DAYS"),
        ("STOCKWARD_PUBLIC_URL", "hunter2.example", "expected https://HOST"),
    ],
)
def test_a_wrong_value_is_told_by_name_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv("STOCKWARD_RESERVATION_MAX_LIFETIME_SECONDS", "3600")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    (problem,) = refusal.value.problems
    assert problem.startswith(f"{name}: {expected}")
    assert "hunter2" not in problem


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKWARD_POOL_SIZE", "x")
    monkeypatch.setenv("WEBHOOK_SECRET", "x")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert len(refusal.value.problems) == 2


PRODUCTION = {
    "STOCKWARD_ENVIRONMENT": "production",
    "DATABASE_URL": VERIFIED,
    "EVENT_QUEUE_URL": "nats://server:secret@queue:4222",
    "WEBHOOK_SECRET": RANDOM_SECRET,
}


@pytest.mark.parametrize(
    ("name", "convenient", "expected", "fit"),
    [
        ("DATABASE_URL", "", "required", VERIFIED),
        ("DATABASE_URL", "postgresql://db/a", "expected TLS", "postgresql://db/a?sslmode=verify-ca"),
        (
            "DATABASE_URL",
            "postgresql://u:p@db/a?sslmode=require",
            "expected TLS",
            "postgresql:///a?host=/run/postgresql",
        ),
        ("DATABASE_URL", "postgresql://u@/a?host=db", "expected TLS", "postgresql://u:p@127.0.0.1:5432/a"),
        ("DATABASE_URL", "postgresql://localhost,db/a", "expected TLS", "postgresql://u:p@[::1]:5432/a"),
        ("DATABASE_URL", "postgresql://127.0.0.1.example/a", "expected TLS", "postgresql://%2Frun%2Fpostgresql/a"),
        ("EVENT_QUEUE_URL", "", "required", "nats://token@queue:4222"),
        ("EVENT_QUEUE_URL", "nats://queue:4222", "expected credentials", "nats://server:secret@queue:4222"),
        ("EVENT_QUEUE_URL", "tls://a:b@one, tls://two", "expected credentials", "tls://a:b@one, tls://a:b@two"),
        ("EVENT_QUEUE_URL", "nats://127.0.0.1:4222", "expected credentials", "nats://a:b@127.0.0.1:4222"),
        ("WEBHOOK_SECRET", SECRET, "expected random bytes", RANDOM_SECRET),
        ("WEBHOOK_SECRET", f"{RANDOM_SECRET} {SECRET}", "expected random bytes", RANDOM_SECRET),
        ("PMS_WEBHOOK_SECRET", SECRET, "expected random bytes", RANDOM_SECRET[:-4] + "eHg="),
        ("PMS_INCOMING_WEBHOOK_SECRET", SECRET, "expected random bytes", RANDOM_SECRET[:-4] + "eHg="),
        ("PMS_INCOMING_WEBHOOK_SECRET", RANDOM_SECRET, "expected another secret", RANDOM_SECRET[:-4] + "eHg="),
        ("STOREFRONT_WEBHOOK_URL", "http://shop.example/hook", "https is required", "https://shop.example/hook"),
        ("PMS_WEBHOOK_URL", "http://pms.example/hook", "https is required", "https://pms.example/hook"),
        ("STOCKWARD_PUBLIC_URL", "http://api.example", "https is required", "https://api.example"),
        ("STOCKWARD_WEBHOOK_NETWORKS", "10.0.0.0/8", "expected networks of receivers", "10.1.2.0/24"),
        ("STOCKWARD_WEBHOOK_NETWORKS", "10.1.2.0/24, 0.0.0.0/0", "expected networks of receivers", "fd00:1::/64"),
        ("STOCKWARD_WEBHOOK_NETWORKS", "127.0.0.1/32", "expected networks of receivers", "192.168.7.9/32"),
        ("STOCKWARD_WEBHOOK_NETWORKS", "::1/128", "expected networks of receivers", ""),
        ("STOCKWARD_WEBHOOK_NETWORKS", "169.254.169.254/32", "expected networks of receivers", ""),
        ("STOCKWARD_WEBHOOK_NETWORKS", "fd00::/8", "expected networks of receivers", ""),
        ("STOCKWARD_REFLECTION", "true", "expected false", "false"),
    ],
)
def test_production_refuses_what_is_convenient(
    monkeypatch: pytest.MonkeyPatch, name: str, convenient: str, expected: str, fit: str
) -> None:
    for each, value in PRODUCTION.items():
        monkeypatch.setenv(each, value)
    monkeypatch.setenv(name, convenient)
    with pytest.raises(SettingsError, match=f"^{name}: {expected}"):
        load_settings()
    monkeypatch.setenv(name, fit)
    settings = load_settings()
    assert not settings.reflects
    monkeypatch.setenv("STOCKWARD_ENVIRONMENT", "development")
    monkeypatch.setenv(name, convenient)
    assert load_settings().environment is Environment.DEVELOPMENT


@pytest.mark.parametrize(("said", "served"), [("", False), ("true", True), ("false", False)])
def test_production_serves_the_console_only_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, said: str, served: bool
) -> None:
    assert load_settings().serves_console
    for each, value in PRODUCTION.items():
        monkeypatch.setenv(each, value)
    monkeypatch.setenv("STOCKWARD_CONSOLE", said)
    assert load_settings().serves_console is served


def test_production_signs_what_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    for each, value in PRODUCTION.items():
        monkeypatch.setenv(each, value)
    monkeypatch.delenv("WEBHOOK_SECRET")
    monkeypatch.setenv("PMS_WEBHOOK_URL", "https://pms.example/hook")
    with pytest.raises(SettingsError, match=r"^PMS_WEBHOOK_SECRET: required .*PMS_WEBHOOK_URL is set"):
        load_settings()
    monkeypatch.setenv("PMS_WEBHOOK_SECRET", RANDOM_SECRET)
    assert load_settings().signing_secrets == {"pms": RANDOM_SECRET}


def test_one_s_own_stack_is_not_for_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for each, value in PRODUCTION.items():
        monkeypatch.setenv(each, value)
    outcome = CliRunner().invoke(app, ["run"])
    assert isinstance(outcome.exception, SettingsError)
    assert outcome.exception.problems[0].startswith("STOCKWARD_ENVIRONMENT: expected development")
    assert not Path(".stockward").exists()


def test_callers_are_slowed_down_earlier_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().calls_per_second == {"read": 10_000, "write": 10_000, "bulk": 10_000}
    for each, value in PRODUCTION.items():
        monkeypatch.setenv(each, value)
    monkeypatch.setenv("STOCKWARD_WRITES_PER_SECOND", "0")
    assert load_settings().calls_per_second == {"read": 1_000, "write": 0, "bulk": 100}


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("STOCKWARD_TLS_CERT", "STOCKWARD_TLS_KEY"),
        ("STOCKWARD_TLS_KEY", "STOCKWARD_TLS_CERT"),
        ("STOCKWARD_TLS_CLIENT_CA", "STOCKWARD_TLS_CERT"),
        ("STOCKWARD_CLIENT_CERT", "STOCKWARD_CLIENT_KEY"),
        ("STOCKWARD_CLIENT_KEY", "STOCKWARD_CLIENT_CERT"),
    ],
)
def test_a_certificate_needs_its_key(monkeypatch: pytest.MonkeyPatch, given: str, missing: str) -> None:
    monkeypatch.setenv(given, "file.pem")
    with pytest.raises(SettingsError, match=f"^{missing}: required"):
        load_settings()


def test_networks_are_told_apart_by_spaces_or_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKWARD_WEBHOOK_NETWORKS", "10.0.0.0/8, fd00::/8 192.168.1.0/24")
    assert load_settings().webhook_allowed_networks == ["10.0.0.0/8", "fd00::/8", "192.168.1.0/24"]


def test_tokens_need_an_issuer_and_an_audience(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_settings().takes_tokens
    monkeypatch.setenv("STOCKWARD_JWKS_URL", "https://id.example/keys")
    with pytest.raises(SettingsError, match="STOCKWARD_JWT_ISSUER: required"):
        load_settings()
    monkeypatch.setenv("STOCKWARD_JWT_ISSUER", "https://id.example")
    with pytest.raises(SettingsError, match="STOCKWARD_JWT_AUDIENCE: required"):
        load_settings()
    monkeypatch.setenv("STOCKWARD_JWT_AUDIENCE", "stockward")
    monkeypatch.setenv("STOCKWARD_JWT_ROLES", "editor=pms, ops=admin")
    monkeypatch.setenv("STOCKWARD_JWT_ALGORITHMS", "ES256")
    settings = load_settings()
    assert settings.takes_tokens
    assert settings.token_roles == {"editor": "pms", "ops": "admin"}
    assert settings.token_algorithms == ["ES256"]
    monkeypatch.setenv("STOCKWARD_JWKS_FILE", "keys.json")
    with pytest.raises(SettingsError, match="STOCKWARD_JWKS_FILE: expected to be unset"):
        load_settings()


def test_an_unreadable_file_is_told() -> None:
    Path(".env").write_bytes(b"STOCKWARD_POOL_SIZE=\xff\n")
    with pytest.raises(SettingsError, match=r"^\.env: expected"):
        load_settings()


def test_settings_themselves_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKWARD_POOL_SIZE", "30")
    assert Settings().pool_size == 10
    assert Settings(database_url=SecretStr("postgresql://here/a")).pool_size == 10
    with pytest.raises(ValidationError):
        Settings.model_validate({"pool_sise": 10})


def test_every_setting_is_explained() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_several_secrets_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().shared_webhook_secrets == load_settings().stripe_webhook_secrets == []
    other = "whsec_" + "QUJE" * 10
    monkeypatch.setenv("WEBHOOK_SECRET", f"{SECRET}, {other}")
    monkeypatch.setenv("STOCKWARD_STRIPE_WEBHOOK_SECRET", "whsec_one  whsec_two")
    assert load_settings().shared_webhook_secrets == [SECRET, other]
    assert load_settings().signing_secrets == {"storefront": SECRET, "pms": SECRET}
    assert load_settings().incoming_secrets == {"storefront": [], "pms": []}
    assert load_settings().stripe_webhook_secrets == ["whsec_one", "whsec_two"]
    monkeypatch.setenv("PMS_WEBHOOK_SECRET", RANDOM_SECRET)
    monkeypatch.setenv("STOREFRONT_INCOMING_WEBHOOK_SECRET", f"{other} {SECRET}")
    settings = load_settings()
    assert settings.signing_secrets == {"storefront": SECRET, "pms": RANDOM_SECRET}
    assert settings.incoming_secrets == {"storefront": [other, SECRET], "pms": []}
    for field in ("stripe_webhook_secret", *WEBHOOK_SECRETS):
        assert settings.shown(field) in ("whsec_***", None)


def test_config_shows_what_is_in_force_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hunter2,@db:5433/shop?password=hunter2&sslmode=require")
    monkeypatch.setenv("EVENT_QUEUE_URL", "nats://hunter2@one:4222,nats://user:hunter2@two:4222")
    monkeypatch.setenv("PMS_WEBHOOK_URL", "https://user:hunter2@pms.example/hunter2?key=hunter2")
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("STOCKWARD_JWKS_URL", "https://user:hunter2@login.example/keys")
    monkeypatch.setenv("STOCKWARD_JWT_ISSUER", "https://login.example")
    monkeypatch.setenv("STOCKWARD_JWT_AUDIENCE", "shop")
    monkeypatch.setenv("STOCKWARD_PUBLIC_URL", "https://hunter2@shop.example")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@[::1]:4317")
    shown = CliRunner().invoke(app, ["config", "--json"])
    assert (
        json.loads(shown.stdout).items()
        >= {
            "DATABASE_URL": "postgresql://shop:***@db:5433/shop",
            "EVENT_QUEUE_URL": "nats://***@one:4222,nats://user:***@two:4222",
            "PMS_WEBHOOK_URL": "https://***@pms.example/***",
            "WEBHOOK_SECRET": "whsec_***",
            "STOCKWARD_JWKS_URL": "https://***@login.example/keys",
            "STOCKWARD_PUBLIC_URL": "https://***@shop.example",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://***@[::1]:4317",
            "STOCKWARD_POOL_SIZE": 10,
        }.items()
    )
    table = CliRunner().invoke(app, ["config"])
    assert set(re.findall(r"^  (\w+)", table.stdout, re.MULTILINE)) >= set(variables())
    for output in (shown.output, table.output):
        assert "hunter2" not in output
        assert SECRET not in output


def test_variables_that_are_no_settings_are_named_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("STOCKWARD_STREAM=hunter2\nUNRELATED=1\n")
    for name in ("STOCKWARD_POOLSIZE", "stockward_gateway_adress", "DATABASE_URI", "STOCKWARD_KEY", "PATH_TO_DATABASE"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("STOCKWARD_SERVER_SERVICE_PORT_GRPC", "50051")
    monkeypatch.setenv("STOCKWARD_SERVER_PORT_50051_TCP_ADDR", "10.0.0.1")
    expected = {
        "DATABASE_URI": "did you mean DATABASE_URL?",
        "STOCKWARD_POOLSIZE": "did you mean STOCKWARD_POOL_SIZE?",
        "STOCKWARD_STREAM": "did you mean STOCKWARD_STREAM_NAME?",
        "stockward_gateway_adress": "did you mean STOCKWARD_GATEWAY_ADDRESS?",
    }
    assert unknown_variables() == [f"{name} is no setting and has no effect; {hint}" for name, hint in expected.items()]
    monkeypatch.setenv("DATABASE_URL", "postgresql://here/a")
    assert not [each for each in unknown_variables() if "DATABASE_URI" in each], "meant for another program"


@pytest.mark.parametrize("name", [*variables(), "STOCKWARD_ADDRESS", "STOCKWARD_KEY"])
def test_a_setting_is_no_unknown_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert not unknown_variables()


def test_only_what_differs_from_its_default_is_shown_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*options: str) -> str:
        shown = CliRunner().invoke(app, ["config", "--changed", *options], env={"COLUMNS": "200"})
        assert (shown.exit_code, "hunter2" in shown.output) == (0, False)
        return shown.stdout

    assert changed() == "Every setting has its default.\n"
    monkeypatch.setenv("STOCKWARD_POOL_SIZE", "10")
    monkeypatch.setenv("STOCKWARD_CACHE_SECONDS", "2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hunter2@db/shop")
    assert json.loads(changed("--json")) == {
        "DATABASE_URL": "postgresql://shop:***@db/shop",
        "STOCKWARD_CACHE_SECONDS": 2.0,
    }
    rows = {line.split()[0]: line.split() for line in changed().splitlines() if re.match(r"  \w+_", line)}
    assert rows.keys() == {"DATABASE_URL", "STOCKWARD_CACHE_SECONDS"}
    assert (rows["STOCKWARD_CACHE_SECONDS"][1], rows["STOCKWARD_CACHE_SECONDS"][-1]) == ("2.0", "0.5")


def test_config_names_variables_that_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKWARD_POOLSIZE", "hunter2")
    assert "did you mean STOCKWARD_POOL_SIZE?" in CliRunner().invoke(app, ["config", "--json"]).stderr
