"""`stockward run`: starts every process of a stack, restarts processes that die, and stops all of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from stockward_dev.envoy import Envoy
from stockward_dev.home import AlreadyRunning, Home, Keys
from stockward_dev.nats import Nats
from stockward_dev.ports import free_port
from stockward_dev.postgres import Postgres
from stockward_dev.screen import Screen
from stockward_dev.service import Service, StartError, ended, stop_leftover
from stockward_dev.worker import Worker
from stockward_server.config import WEBHOOK_SECRETS, Environment, Settings, variable
from stockward_server.config.checks import several
from stockward_server.config.run_file import RunFile
from stockward_server.runtime.back_off import BackOff
from stockward_server.runtime.probes import answers

DATABASE = "stockward"
NATS_PORT = 4222

FIRST_DELAY, MAX_DELAY = 0.5, 15.0
"""Seconds before a process that died is restarted; doubled each time."""

STEADY = 30.0
"""Seconds after which a process counts as healthy, so that the next delay is the first one again."""

STOP_ORDER = ("edge", "server", "gateway", "relay", "nats", "postgres")
"""Order of the stop: each process before those that it uses."""

Prepare = Callable[[Settings, Mapping[str, str]], Awaitable[list[str]]]
"""Applies migrations and stores each role's API key; returns the names of the migrations."""

NatsAccounts = Callable[[str, Mapping[str, str]], Mapping[str, Any]]
"""Returns the accounts of NATS's configuration for the name of the stream and the password of each user."""

NATS_USERS = ("server", "relay", "gateway", "subscriber")
"""Users of NATS; each process has the user of its name."""

ConfigureEdge = Callable[[Settings, Path], Mapping[str, Any]]
"""Returns Envoy's files for a directory, by name: `envoy.json`, on `edge_address` in front of the server at
`grpc_address`, and others."""


class StopRequested(Exception):
    """A stop was requested before the stack was up."""


class Supervisor:
    """One stack in one home directory, from the first start of its processes to the end of the last."""

    def __init__(
        self,
        settings: Settings,
        prepare: Prepare,
        configure_edge: ConfigureEdge,
        nats_accounts: NatsAccounts,
        subscriber_api: str,
        screen: Screen,
    ) -> None:
        """`subscriber_api` is the prefix of JetStream's API for the user `subscriber` of `nats_accounts`."""
        self._settings = settings
        self._prepare = prepare
        self._configure_edge = configure_edge
        self._nats_accounts = nats_accounts
        self._subscriber_api = subscriber_api
        self._screen = screen
        self._home = Home(settings.home)
        self._services: dict[str, Service] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stack: RunFile | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        """Runs until a signal requests a stop. Returns the exit code, 1 where the stack could not be started."""
        os.umask(0o077)
        try:
            with self._home.hold():
                return await self._run()
        except AlreadyRunning as error:
            other = RunFile.read(self._home.path)
            where = f"gRPC on {other.grpc}" if other else "it is still starting"
            self._screen.fail(f"Stockward is already running in {self._home.path} (pid {error.pid}, {where})")
        except StartError as error:
            self._screen.fail(str(error))
        return 1

    async def _run(self) -> int:
        self._listen_to_signals()
        try:
            await self._unless_stopped(self._start())
            await self._stop.wait()
        except StopRequested:
            pass
        except StartError as error:
            self._screen.fail(str(error), error.log)
            return 1
        except OSError as error:
            self._screen.fail(str(error))
            return 1
        finally:
            await self._stop_all()
        return 0

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup
            loop.add_signal_handler(number, self._ask_to_stop)

    def _ask_to_stop(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, StartError, OSError):
                await task
            raise StopRequested
        await task

    async def _start(self) -> None:
        self._home.remove_run_file()
        self._home.rotate_logs()
        keys = self._home.keys()
        for name in STOP_ORDER:
            if pid := await stop_leftover(self._lock(name)):
                self._screen.warn(f"Stopped {name} (pid {pid}), left over from a run that was killed")
        for field, brought in (("database_url", "PostgreSQL"), ("event_queue_url", "NATS")):
            if field in self._settings.model_fields_set:
                self._screen.warn(f"{variable(field)} is set, but `run` brings {brought} of its own")

        postgres = Postgres(self._home.path / "postgres", log=self._log("postgres"), lock=self._lock("postgres"))
        with self._screen.step("Starting PostgreSQL", "PostgreSQL is ready"):
            await self._bring_up({"postgres": postgres})
            database = await postgres.create_database(DATABASE)
        if postgres.data_dir.is_symlink():
            self._screen.say(f"  Its data is in {postgres.data_dir.resolve()}, where its user may go")

        passwords = {user: keys.nats_password(user) for user in NATS_USERS}
        nats = Nats(
            self._home.path / "nats",
            port=self._port("NATS", "127.0.0.1", NATS_PORT),
            accounts=self._nats_accounts(self._settings.stream_name, passwords),
            log=self._log("nats"),
            lock=self._lock("nats"),
        )
        with self._screen.step("Starting NATS", "NATS with JetStream is ready"):
            await self._bring_up({"nats": nats})

        settings = self._settings = self._settings.model_copy(
            update={
                "database_url": SecretStr(database),
                **self._webhook_secrets(keys),
                "grpc_address": self._address("gRPC", self._settings.grpc_address),
                "edge_address": self._address("Edge", self._settings.edge_address),
                "gateway_address": self._address("Gateway", self._settings.gateway_address),
                "server_admin_address": self._address("Metrics", self._settings.server_admin_address),
                "relay_admin_address": self._address("Relay's metrics", self._settings.relay_admin_address),
            }
        )
        webhooks = self._default_webhooks()
        with self._screen.step("Bringing the database up to date", "Database is up to date"):
            migrations = await self._prepare_database(settings, keys)
        if migrations:
            self._screen.say(f"  Applied {', '.join(migrations)}")

        with self._screen.step("Starting relay, gateway and server", "Relay, gateway and server are ready"):
            await self._bring_up(self._workers(webhooks, lambda name: nats.url_of(name, passwords[name])))
        directory = self._home.path / "edge"
        edge = Envoy(
            directory,
            self._configure_edge(settings, directory),
            address=settings.edge_address,
            tls=settings.edge_tls_cert is not None,
            log=self._log("edge"),
            lock=self._lock("edge"),
        )
        with self._screen.step("Starting the edge", "Edge (Envoy) is ready"):
            await self._bring_up({"edge": edge})
        self._stack = RunFile(
            grpc=settings.grpc_address,
            tls=self._client_files(),
            edge=edge.url,
            gateway=f"http://{settings.gateway_address}",
            admin=self._admin_urls(),
            nats=nats.url_of("subscriber", passwords["subscriber"]),
            nats_api=self._subscriber_api,
            database=database,
            keys=keys.of_roles,
            webhook_secrets={
                variable(field): (several(getattr(settings, field)) or settings.shared_webhook_secrets)[0]
                for field in WEBHOOK_SECRETS
            },
            webhooks=webhooks,
            pids={},
        )
        self._write_run_file()
        self._screen.summary(self._stack, self._home, console=self._settings.serves_console)

    async def _prepare_database(self, settings: Settings, keys: Keys) -> list[str]:
        try:
            return await self._prepare(settings, keys.of_roles)
        except Exception as error:
            log = self._log("migrate")
            log.write_text(traceback.format_exc(), encoding="utf-8")
            raise StartError(f"The database could not be brought up to date: {error}", log) from None

    def _webhook_secrets(self, keys: Keys) -> dict[str, SecretStr]:
        """Returns a secret for each party and direction that has none; nothing where WEBHOOK_SECRET is set."""
        if self._settings.webhook_secret:
            return {}
        unset = (field for field in WEBHOOK_SECRETS if getattr(self._settings, field) is None)
        return {field: SecretStr(keys.webhook_secret_of(variable(field))) for field in unset}

    def _default_webhooks(self) -> dict[str, str]:
        """Returns the demo's URL for each role whose webhook URL is not set; nothing in production."""
        unset = [role for role in ("storefront", "pms") if getattr(self._settings, f"{role}_webhook_url") is None]
        if not unset or self._settings.environment is Environment.PRODUCTION:
            return {}
        address = self._address("Demo", self._settings.demo_address)
        return {role: f"http://{address}/{role}" for role in unset}

    def _workers(self, webhooks: Mapping[str, str], nats_url: Callable[[str], str]) -> dict[str, Service]:
        settings = self._settings
        secrets = {field: getattr(settings, field) for field in WEBHOOK_SECRETS}
        variables = {
            "DATABASE_URL": settings.database_url.get_secret_value(),
            **{variable(field): secret.get_secret_value() for field, secret in secrets.items() if secret},
            "STOCKWARD_GRPC_ADDRESS": settings.grpc_address,
            "STOCKWARD_GATEWAY_ADDRESS": settings.gateway_address,
            "STOCKWARD_SERVER_ADMIN_ADDRESS": settings.server_admin_address,
            "STOCKWARD_RELAY_ADMIN_ADDRESS": settings.relay_admin_address,
            "STOCKWARD_HOME": str(self._home.path),
            **{variable(f"{role}_webhook_url"): url for role, url in webhooks.items()},
        }
        return {
            name: Worker(
                name,
                "serve" if name == "server" else name,
                variables={**variables, "EVENT_QUEUE_URL": nats_url(name)},
                ready=functools.partial(answers, f"{url}/readyz"),
                stop_within=settings.stop_seconds,
                log=self._log(name),
                lock=self._lock(name),
            )
            for name, url in self._admin_urls().items()
        }

    def _admin_urls(self) -> dict[str, str]:
        settings = self._settings
        return {
            "server": f"http://{settings.server_admin_address}",
            "relay": f"http://{settings.relay_admin_address}",
            "gateway": f"http://{settings.gateway_address}",
        }

    def _client_files(self) -> dict[str, str]:
        settings = self._settings
        if settings.tls_cert is None:
            return {}
        files = {"ca": settings.server_ca, "cert": settings.client_cert, "key": settings.client_key}
        return {name: str(file.absolute()) for name, file in files.items() if file}

    async def _bring_up(self, services: dict[str, Service]) -> None:
        """Starts ``services`` concurrently and supervises them from then on. Raises StartError or OSError."""
        self._services |= services
        try:
            async with asyncio.TaskGroup() as starting:
                for service in services.values():
                    starting.create_task(service.start())
        except* (StartError, OSError) as errors:
            raise errors.exceptions[0] from None
        self._keepers += [asyncio.create_task(self._keep(service)) for service in services.values()]

    async def _keep(self, service: Service) -> None:
        """Restarts ``service`` whenever it ends."""
        back_off = BackOff(FIRST_DELAY, MAX_DELAY, steady=STEADY)
        while True:
            since = time.monotonic()
            code = await service.wait()
            delay = back_off.next(time.monotonic() - since)
            problem = f"{service.name} {ended(code)}"
            while service.pid is None:
                self._write_run_file()
                self._screen.warn(f"{problem}; starting it again in {delay:g} s (log: {service.log})")
                await asyncio.sleep(delay)
                try:
                    await service.start()
                except (StartError, OSError) as error:
                    problem, delay = str(error), back_off.next()
            self._write_run_file()
            self._screen.say(f"✓ {service.name} is back (pid {service.pid})")

    async def _stop_all(self) -> None:
        if self._stop.is_set():
            self._screen.say("Stopping; once more kills what is being waited for")
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for service in (self._services[name] for name in STOP_ORDER if name in self._services):
            if service.pid is not None:
                with self._screen.step(f"Stopping {service.name}", f"{service.name} stopped"):
                    clean = await self._stop_or_kill(service)
                if not clean:
                    self._screen.warn(f"{service.name} had to be killed")
        self._home.remove_run_file()

    async def _stop_or_kill(self, service: Service) -> bool:
        """Stops ``service``, or kills it on a second request to stop. Returns whether it ended by itself."""
        stop, hurry = asyncio.create_task(service.stop()), asyncio.create_task(self._hurry.wait())
        await asyncio.wait((stop, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not stop.done():
            self._hurry.clear()
            await service.kill()
            await stop
            return False
        return await stop

    def _write_run_file(self) -> None:
        if self._stack is None:
            return  # still starting
        self._stack.pids.clear()
        self._stack.pids["supervisor"] = os.getpid()
        self._stack.pids.update({name: s.pid for name, s in self._services.items() if s.pid is not None})
        self._home.write_run_file(self._stack)

    def _address(self, what: str, address: str) -> str:
        host, _, port = address.rpartition(":")
        return f"{host}:{self._port(what, host.strip('[]'), int(port))}"

    def _port(self, what: str, host: str, preferred: int) -> int:
        name = f"{what} {preferred}"
        moved = self._home.moved_ports().get(name)
        try:
            port = free_port(moved or preferred, host)
            if moved not in (None, port):
                port = free_port(preferred, host)
        except OSError as error:
            raise StartError(f"{what} cannot listen on {host}: {error.strerror}") from None
        if port == moved:
            file = self._home.path / "ports.json"
            self._screen.say(f"  {what}: port {port} as at the last start; remove {file} to try {preferred} again")
        elif port != preferred:
            self._screen.warn(f"{what}: port {preferred} is in use, taking {port} instead")
            self._home.remember_port(name, port)
        return port

    def _log(self, name: str) -> Path:
        return self._home.log(name)

    def _lock(self, name: str) -> Path:
        return self._home.lock(name)
