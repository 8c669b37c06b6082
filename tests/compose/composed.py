"""A cluster of containers under test: started with Compose from the root of the repository, as users do."""

import asyncio
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from tests.compose import engine

from podwire.scripts.cluster.client import Client, connect
from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.cluster.ports import free_port
from podwire.services.chassis import logs

_UP_SECONDS: Final = 300.0
_SERVICE: Final = '{{.Label "com.docker.compose.service"}}'
_PORTS: Final = ("API", "BUS", "MQTT", "SSH")


class Composed:
    """One cluster, as a Compose project of its own with free ports."""

    def __init__(self, folder: Path, profile: str = "single") -> None:
        self.folder = ClusterFolder(folder)
        self._project = f"podwire-{secrets.token_hex(4)}"
        ports = {f"PODWIRE_{name}_PORT": str(free_port()) for name in _PORTS}
        given = {
            "COMPOSE_PROJECT_NAME": self._project,
            "COMPOSE_PROFILES": profile,
            "PODWIRE_IMAGE": engine.IMAGE,
            "PODWIRE_DIR": str(folder),
        }
        self._environment = os.environ | given | ports

    def up(self) -> None:
        """`docker compose up`, until the bootstrap container says that all is whole."""
        self.compose("up", "--detach")
        bootstrap = self.container("bootstrap")
        end = time.monotonic() + _UP_SECONDS
        while (state := self._state(bootstrap)) != "exited 0":
            assert time.monotonic() < end, f"bootstrap: {state}: {self._docker('logs', bootstrap)}"
            time.sleep(0.2)

    def down(self) -> None:
        """Ends it, and removes its volumes."""
        self.compose("down", "--volumes", "--timeout", "1")

    def compose(self, *arguments: str) -> str:
        """One Compose command."""
        command = [*engine.compose(), *arguments]
        done = subprocess.run(
            command, cwd=engine.ROOT, env=self._environment, capture_output=True, text=True, timeout=_UP_SECONDS
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    # -- containers

    def container(self, service: str, number: int = 1) -> str:
        """The id of a service's container."""
        found = self.containers(service)
        assert len(found) >= number, f"{service}: {found}"
        return found[number - 1]

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, also those that have ended."""
        label = "label=com.docker.compose"
        filters = ("--filter", f"{label}.project={self._project}", "--filter", f"{label}.service={service}")
        return self._docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()

    def services(self) -> list[str]:
        """The names of all services that have containers."""
        own = ("--filter", f"label=com.docker.compose.project={self._project}")
        return sorted(set(self._docker("ps", "--all", *own, "--format", _SERVICE).split()))

    def kill(self, service: str) -> None:
        """`docker kill`: SIGKILL, and the restart policy does not apply."""
        self._docker("kill", *self.containers(service))

    def start(self, service: str) -> None:
        """`docker start`."""
        self._docker("start", *self.containers(service))

    def crash(self, service: str) -> None:
        """The process ends by SIGKILL, and the engine's restart policy applies."""
        self._docker("exec", self.container(service), "bash", "-c", "kill -9 -1", check=False)

    def inspect(self, service: str, form: str) -> str:
        """A fact of the first container, by a template of `docker inspect`."""
        return self._docker("inspect", "--format", form, self.container(service)).strip()

    def _state(self, container: str) -> str:
        form = "{{.State.Status}} {{.State.ExitCode}}"
        return self._docker("inspect", "--format", form, container).strip()

    def _docker(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"docker {arguments}: {done.stderr}"
        return done.stdout

    # -- asking

    def kubectl(self, *arguments: str) -> str:
        """kubectl on the host; its output, or its complaint. Only where there is one."""
        program = shutil.which("kubectl")
        assert program is not None
        command = [program, "--kubeconfig", str(self.folder.kubeconfig), "--request-timeout", "10s", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        return done.stdout + done.stderr

    def run[T](self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine with the operator's connection from the host."""
        logs.configure("error", "podwire", "test")

        async def main() -> T:
            client = await connect(self.folder.read_cluster(), self.folder)
            try:
                return await work(client)
            finally:
                await client.bus.close()

        return asyncio.run(main())
