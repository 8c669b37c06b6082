"""The HTTP pages of plugin/health, plugin/ready and plugin/prometheus."""

from podwire.services.chassis.claim import Container
from podwire.services.chassis.http import TextHandler, serve_text
from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.endpoints import Endpoints
from podwire.services.coredns.core.measures import Measures
from podwire.services.coredns.serving import Serving

_NOT_FOUND = 404, "404 page not found\n"


class Pages:
    """Served on the ports that the Corefile names; a port that was opened stays open."""

    def __init__(self, container: Container, serving: Serving, cluster: Cluster, measures: Measures) -> None:
        self._container, self._serving, self._cluster, self._measures = container, serving, cluster, measures
        self._open: dict[int, None] = {}

    async def serve(self, endpoints: Endpoints) -> None:
        """Opens what is not yet open. Raises ContainerError."""
        await self._serve(endpoints.health_port, self._health)
        await self._serve(endpoints.ready_port, self._ready)
        await self._serve(endpoints.metrics_port, self._metrics)

    async def _serve(self, port: int, handler: TextHandler) -> None:
        if port and port not in self._open:
            await serve_text(self._container, port, handler)
            self._open[port] = None

    def _health(self, path: str) -> tuple[int, str]:
        return (200, "OK") if path == "/health" else _NOT_FOUND

    def _ready(self, path: str) -> tuple[int, str]:
        if path != "/ready":
            return _NOT_FOUND
        waits = any("kubernetes" in server.plugins for server in self._serving.servers) and not self._cluster.synced
        return (503, "kubernetes") if waits else (200, "OK")

    def _metrics(self, path: str) -> tuple[int, str]:
        return (200, self._measures.text(self._serving.servers)) if path == "/metrics" else _NOT_FOUND
