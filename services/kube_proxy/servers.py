"""kube-proxy's HTTP servers in its node's network: health, metrics, and one port a Service that load balancers ask."""

from collections.abc import Callable, Mapping

from podwire.services.chassis.claim import Container, ContainerError
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.http import PLAIN, Handler, Headers, serve
from podwire.services.kube_proxy.core.configuration import Configuration
from podwire.services.kube_proxy.core.health import JSON, LocalEndpoints, ProxyHealth, ServiceName, service_health
from podwire.services.kube_proxy.core.metrics import Metrics

Response = tuple[int, str, Headers]
_NOT_FOUND: Response = (404, "404 page not found\n", PLAIN)


class Servers:
    """All of them; `metrics_text` makes what /metrics says."""

    def __init__(
        self,
        container: Container,
        clock: Clock,
        health: ProxyHealth,
        metrics: Metrics,
        metrics_text: Callable[[], str],
    ) -> None:
        self._container, self._clock = container, clock
        self._health, self._metrics, self._metrics_text = health, metrics, metrics_text
        self._here: Mapping[ServiceName, LocalEndpoints] = {}
        self._listening: dict[ServiceName, tuple[int, int]] = {}
        """The port and the socket of each Service that is asked about."""

    async def start(self, configuration: Configuration) -> None:
        """Opens the two of the proxy itself; a port that is taken is said and left."""
        mode = configuration.mode
        await self._open("healthz", configuration.healthz_port, self._answer_health)
        await self._open("metrics", configuration.metrics_port, lambda path: self._answer_metrics(path, mode))

    async def _open(self, what: str, port: int, handler: Handler) -> int | None:
        if not port:
            return None
        try:
            return await serve(self._container, port, handler)
        except ContainerError as error:
            self._container.log(f'"Failed to start {what} server" port={port} err="{error}"')
            return None

    def _answer_health(self, path: str) -> Response:
        now = self._clock.now_ns()
        if path == "/healthz":
            code, text = self._health.healthz(now)
            self._metrics.healthz.add(str(code))
        elif path == "/livez":
            code, text = self._health.livez(now)
            self._metrics.livez.add(str(code))
        else:
            return _NOT_FOUND
        return code, text, JSON

    def _answer_metrics(self, path: str, mode: str) -> Response:
        if path == "/metrics":
            return 200, self._metrics_text(), PLAIN
        said = {"/proxyMode": mode, "/healthz": "ok"}.get(path)
        return _NOT_FOUND if said is None else (200, said, PLAIN)

    async def sync(self, here: Mapping[ServiceName, LocalEndpoints]) -> None:
        """Opens and closes the ports of Services (SyncServices, SyncEndpoints)."""
        self._here = here
        for name, (port, number) in list(self._listening.items()):
            if name not in here or here[name].port != port:
                self._container.stop_listening(number)
                del self._listening[name]
        for name, wanted in here.items():
            if name not in self._listening:
                await self._listen(name, wanted.port)

    async def _listen(self, name: ServiceName, port: int) -> None:
        number = await self._open(f"healthcheck of {'/'.join(name)}", port, lambda path: self._answer_service(name))
        if number is not None:
            self._listening[name] = (port, number)

    def _answer_service(self, name: ServiceName) -> Response:
        return service_health(name, self._here, self._health.is_healthy(self._clock.now_ns()))
