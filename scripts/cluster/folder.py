"""`.podwire/`: everything that a live cluster keeps on the host's disk."""

import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from podwire.scripts.cluster.credentials import write_private
from podwire.services.chassis.bus.base import MAX_PAYLOAD

DEFAULT: Final = ".podwire"


class FolderError(Exception):
    """The folder cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """What commands need to find a running cluster."""

    bus_url: str
    operator: str
    password: str
    api_port: int
    workers: int
    supervisor: int
    """The process that holds the cluster; 0: its processes are containers."""
    mqtt_port: int
    observer_password: str
    ip_family: str = "ipv4"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a continued cluster keeps: its number of workers, and its IP families."""

    workers: int
    ip_family: str


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """One process as the supervisor sees it."""

    component: str
    node: str
    instance: str
    pid: int
    claimed: bool
    restarts: int
    place: str = ""
    """Where another takes its place: `component@node`, or the component."""


class ClusterFolder:
    """The folder of one cluster."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.kubeconfig = self.path / "kubeconfig"
        self.logs = self.path / "logs"
        self.nats = self.path / "nats"
        self.keys = self.path / "pki"
        self.disks = self.path / "disks"
        self.ssh_config = self.path / "ssh_config"
        self.ssh_key = self.path / "ssh_key"
        self.doors = self.path / "doors.json"
        self._holds = self.path / "held"
        self.acknowledged = self.path / "acknowledged"
        self._lock: int | None = None

    def make(self) -> None:
        """Makes the folder. Raises FolderError."""
        try:
            for folder in (self.path, self.logs, self.nats, self.keys, self.disks):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise FolderError(f"{self.path}: {error.strerror}; choose another with --data-dir") from None

    @property
    def has_room(self) -> bool:
        """Whether one message of the largest size fits."""
        return shutil.disk_usage(self.path).free >= MAX_PAYLOAD

    def check_room(self) -> None:
        """Raises FolderError where there is no room for another message."""
        if not self.has_room:
            free = shutil.disk_usage(self.path).free
            text = f"{free:,} bytes are free on its disk, and at least {MAX_PAYLOAD:,} are needed"
            raise FolderError(f"{self.path}: {text}; make room, or choose another with --data-dir")

    def lock(self) -> None:
        """Takes the folder; held until the process ends, inherited by what it forks. Raises FolderError."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise FolderError(f"a cluster runs in {self.path} already; stop it with: podwire down") from None
        self._lock = descriptor

    def unlock(self) -> None:
        """Lets go of the folder, for a process that goes on."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_running(self) -> bool:
        """Whether somebody holds the folder."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def write_cluster(self, cluster: ClusterFile) -> None:
        """Stores how to reach the cluster."""
        write_private(self.path / "cluster.json", json.dumps(asdict(cluster)).encode())

    def read_cluster(self) -> ClusterFile:
        """How to reach the cluster. Raises FolderError when none runs here."""
        file = self.path / "cluster.json"
        if not self.is_running and not self.is_of_containers:
            raise FolderError(f"no cluster runs in {self.path}; start one with: podwire up")
        try:
            return ClusterFile(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise FolderError(f"{file} cannot be read ({error}): podwire down, then up") from None

    @property
    def is_of_containers(self) -> bool:
        """Whether its cluster was started with `docker compose up`."""
        try:
            return int(json.loads((self.path / "cluster.json").read_text())["supervisor"]) == 0
        except (OSError, ValueError, TypeError, KeyError):
            return False

    def read_doors(self) -> list[dict[str, Any]]:
        """The real ports that lead to Services; none while they are not known."""
        try:
            return list(json.loads(self.doors.read_text()))
        except (OSError, ValueError, TypeError):
            return []

    def previous(self) -> Shape | None:
        """What the cluster was made of that last ran here; None where there was none."""
        if self.is_of_containers:
            return None
        try:
            known = json.loads((self.path / "cluster.json").read_text())
            return Shape(int(known["workers"]), str(known.get("ip_family", "ipv4")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def supervisor(self) -> int:
        """The process that holds the cluster, also if the rest of its description is of another version.

        Raises FolderError.
        """
        try:
            return int(json.loads((self.path / "cluster.json").read_text())["supervisor"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FolderError(f"{self.path}/cluster.json cannot be read ({error}): end its processes by hand") from None

    def write_processes(self, processes: list[RunningProcess]) -> None:
        """Stores the running processes, all at once."""
        new = self.path / "processes.json.new"
        new.write_text(json.dumps([asdict(entry) for entry in processes]))
        new.replace(self.path / "processes.json")

    def read_processes(self) -> list[RunningProcess]:
        """The running processes. Raises FolderError."""
        if self.is_of_containers:
            raise FolderError(f"the processes of {self.path} are containers: docker compose ps, docker kill")
        try:
            rows: list[dict[str, Any]] = json.loads((self.path / "processes.json").read_text())
            return [RunningProcess(**row) for row in rows]
        except (OSError, ValueError, TypeError) as error:
            raise FolderError(f"{self.path}/processes.json cannot be read: {error}") from None

    def hold(self, place: str, until: float) -> None:
        """Nothing is started at a place before `until` (time.monotonic, seconds), also if who asked for it is gone."""
        self._holds.mkdir(mode=0o700, exist_ok=True)
        new = self._holds / f"{place}.new"
        new.write_text(str(until))
        new.replace(self._holds / place)

    def held_until(self, place: str) -> float:
        """When a process may be started at a place again (0: at once)."""
        try:
            return float((self._holds / place).read_text())
        except (OSError, ValueError):
            return 0.0

    def release_all(self) -> None:
        """Everything may be started."""
        shutil.rmtree(self._holds, ignore_errors=True)

    def remove(self) -> None:
        """Removes the folder and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
