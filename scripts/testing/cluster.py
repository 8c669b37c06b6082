"""What a test holds in its hand: a cluster of its own, all of whose calls are synchronous. Time in it is virtual."""

import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from podwire.scripts.testing import calls
from podwire.scripts.testing.calls import ClusterError

Json = dict[str, Any]
_REACHED: Final = "reached"


class Exchange(calls.Outcome, frozen=True):
    """One real exchange over the cluster's network; true if it was answered."""

    def __bool__(self) -> bool:
        return self.verdict == _REACHED

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination}: {self.verdict} ({self.reason})"

    def __repr__(self) -> str:
        return f"<{self}>"


@dataclass(frozen=True)
class Done:
    """What a program printed, and its exit code; true if that is 0."""

    output: str
    code: int

    def __bool__(self) -> bool:
        return self.code == 0


class Chaos:
    """Faults, by the names that `podwire chaos` takes: `kube-proxy@node-1`, `coredns/0`, `node-2`, `apiserver`."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster

    def _do(self, verb: str, target: str = "", **more: Any) -> None:
        self._cluster.call(calls.Chaos(verb=verb, target=target, **more))

    def kill(self, target: str, back_after: float = 0.0) -> None:
        """kill -9; a new process is there so many seconds later (0: at once)."""
        self._do("kill", target, seconds=back_after)

    def pause(self, target: str) -> None:
        """SIGSTOP."""
        self._do("pause", target)

    def resume(self, target: str) -> None:
        """SIGCONT."""
        self._do("resume", target)

    def power_off(self, node: str) -> None:
        """The machine and all that runs on it is gone, until `power_on`."""
        self._do("power-off", node)

    def power_on(self, node: str) -> None:
        """The machine boots."""
        self._do("power-on", node)

    def partition(self, source: str, target: str, one_way: bool = False) -> None:
        """Nothing passes between two machines, until `heal`."""
        self.link(source, target, loss=1.0, one_way=one_way)

    def link(
        self,
        source: str,
        target: str,
        *,
        delay: float = 0.0,
        jitter: float = 0.0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        corrupt: float = 0.0,
        rate: int = 0,
        one_way: bool = False,
    ) -> None:
        """The link is bad as tc-netem(8) makes it, until `heal`: seconds, probabilities from 0 to 1, bits a second."""
        times = {"delay": round(delay * 1e9), "jitter": round(jitter * 1e9)}
        shares = {"loss": loss, "duplicate": duplicate, "reorder": reorder, "corrupt": corrupt}
        self._do("link", source, other=target, impairment={**times, **shares, "rate": rate}, one_way=one_way)

    def skew(self, node: str, seconds: float) -> None:
        """The machine's wall clock is ahead by so much, until `heal`."""
        self._do("skew", node, seconds=seconds)

    def heal(self) -> None:
        """All links are whole and all clocks right."""
        self._do("heal")


@dataclass(frozen=True)
class Moment:
    """The cluster as it was at a revision."""

    cluster: "Cluster"
    revision: int

    def get(self, kind: str, name: str = "", namespace: str = "default") -> Any:
        """As `Cluster.get`."""
        return self.cluster.call(calls.Get(kind, name, namespace, self.revision))

    def listing(self, *arguments: str, namespace: str = "default", output: str = "") -> str:
        """As `Cluster.listing`."""
        return str(self.cluster.call(calls.Listing(list(arguments), namespace, output, self.revision)))


class Cluster:
    """One cluster, which nobody else uses. What it refuses raises ClusterError."""

    def __init__(self, path: str) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(path)
        self.chaos = Chaos(self)
        self.exchanges: list[Exchange] = []
        """Every exchange of this test, in order."""
        self.errors: list[str] = []
        """What components have logged as errors, which is never foreseen: a defect of podwire, most likely."""
        self.now = 0.0
        """Virtual seconds since the cluster booted, as of the last call."""
        self.revision = 0
        """The newest resourceVersion, as of the last call."""
        self.wait(0)

    def call(self, call: calls.Call) -> Any:
        """One call to the cluster's process. Raises ClusterError."""
        try:
            calls.send(self._connection, call)
            told: calls.Told | None = calls.receive(self._connection, calls.Told)
        except OSError as error:
            raise ClusterError(f"the cluster's process is gone: {error}") from None
        if told is None:
            raise ClusterError("the cluster's process is gone")
        self.now, self.revision = told.now, told.revision
        self.errors += told.logged
        if told.error:
            raise ClusterError(told.error)
        return told.value

    def close(self) -> None:
        """Ends it."""
        self._connection.close()

    # -- objects

    def apply(self, manifests: str | Path, namespace: str = "default", wait: bool = True) -> list[str]:
        """Applies YAML (a Path is read); with `wait` until every pod is Ready and nothing changes any more."""
        text = manifests.read_text(encoding="utf-8") if isinstance(manifests, Path) else manifests
        return list(self.call(calls.Apply(text, namespace, wait)))

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """As `kubectl delete TYPE NAME`."""
        self.call(calls.Delete(kind, name, namespace))

    def get(self, kind: str, name: str = "", namespace: str = "default") -> Any:
        """An object, or without a name all of a kind (of all namespaces: `namespace=""`), as dictionaries."""
        return self.call(calls.Get(kind, name, namespace))

    def listing(self, *arguments: str, namespace: str = "default", output: str = "") -> str:
        """What `kubectl get` prints."""
        return str(self.call(calls.Listing(list(arguments), namespace, output)))

    def at(self, revision: int) -> Moment:
        """The cluster as it was."""
        return Moment(self, revision)

    # -- packets

    def reach(
        self,
        source: str,
        destination: str,
        port: int = 0,
        protocol: str = "TCP",
        *,
        namespace: str = "default",
        via: str = "",
        timeout: float = 1.0,
    ) -> Exchange:
        """One real exchange, traced. Ends are as `podwire trace` takes them: pods, workloads, nodes, `external` (routed
        `via` a node); Services, pods, addresses, URLs. A Service's first port is taken if none is named."""
        call = calls.Exchange(source, destination, port, protocol if port else "", namespace, via, timeout)
        made = msgspec.convert(self.call(call), Exchange)
        self.exchanges.append(made)
        return made

    trace = reach

    def exec(self, pod: str, command: str | list[str], namespace: str = "default") -> Done:
        """Runs a program in a pod's first container; of a workload (`deploy/web`) in the first pod."""
        words = shlex.split(command) if isinstance(command, str) else command
        return Done(*self.call(calls.Exec(words, pod, namespace)))

    def ssh(self, node: str, command: str) -> Done:
        """Runs a command line on a machine, as `podwire ssh` does."""
        return Done(*self.call(calls.Exec([command], node=node)))

    # -- time

    def wait(self, seconds: float) -> None:
        """Virtual seconds pass."""
        self.call(calls.Wait(seconds))

    def settle(self) -> None:
        """Waits until nothing changes any more."""
        self.call(calls.Wait())
