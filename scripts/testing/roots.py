"""The processes that tests' clusters are forks of: one a shape, and one a shape with manifests, made when asked for."""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from podwire.scripts.testing import calls
from podwire.scripts.testing.calls import ClusterError
from podwire.scripts.testing.cluster import Cluster


@dataclass(frozen=True)
class Shape:
    """What is booted."""

    nodes: int = 2
    ip_family: str = "ipv4"
    proxy_mode: str = "iptables"
    seed: int = 0


class Roots:
    """All roots of one test session."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="podwire-")
        self._booted: dict[Shape, tuple[subprocess.Popen[str], str]] = {}
        self._filled: dict[tuple[Shape, tuple[str, ...]], tuple[Cluster, str]] = {}
        self.boots: dict[Shape, float] = {}
        """Seconds that each boot took."""

    def fork(self, shape: Shape, manifests: tuple[str, ...]) -> Cluster:
        """A cluster of that shape in which the texts are applied. Raises ClusterError."""
        return Cluster(self._with(shape, manifests) if manifests else self._root(shape))

    def _with(self, shape: Shape, manifests: tuple[str, ...]) -> str:
        key = (shape, manifests)
        if key not in self._filled:
            cluster, path = Cluster(self._root(shape)), self._path()
            try:
                for text in manifests[:-1]:
                    cluster.apply(text, wait=False)
                cluster.apply(manifests[-1])
                cluster.call(calls.Listen(path))
            except ClusterError:
                cluster.close()
                raise
            self._filled[key] = (cluster, path)
        return self._filled[key][1]

    def _root(self, shape: Shape) -> str:
        if shape not in self._booted:
            path = self._path()
            self._booted[shape] = (self._boot(shape, path), path)
        return self._booted[shape][1]

    def _path(self) -> str:
        return str(Path(self._folder.name) / str(len(self._booted) + len(self._filled)))

    def _boot(self, shape: Shape, path: str) -> subprocess.Popen[str]:
        argument = json.dumps({"path": path, **asdict(shape)})
        command = [sys.executable, "-m", "podwire.scripts.testing.zygote", argument]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        if not line:
            said = process.stderr.read().strip()
            _end(process)
            raise ClusterError(said.splitlines()[-1] if said else "the cluster's process ended at its start")
        self.boots[shape] = float(line)
        return process

    def close(self) -> None:
        """Ends all of them."""
        for cluster, _ in self._filled.values():
            cluster.close()
        for process, _ in self._booted.values():
            _end(process)
        self._folder.cleanup()


def _end(process: subprocess.Popen[str]) -> None:
    """Its standard input ends, and so does it."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait(timeout=10)
