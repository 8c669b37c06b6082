"""The shell of a user's application: idle until it is given a container, then that container's server."""

import functools
from typing import Final

from podwire.proto import subjects
from podwire.services.app.lifespan import Lifespan, StartupFailed
from podwire.services.app.loading import Application, CannotLoad, load_application
from podwire.services.app.server import HttpServer
from podwire.services.app.settings import AppSettings
from podwire.services.chassis.claim import Connection, Container, ContainerError, wait_for_claim
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health

_USUAL_PORT: Final = 8000


class App:
    """One process of an application."""

    def __init__(self, context: Context, settings: AppSettings) -> None:
        self._context, self._settings = context, settings
        self._connections = 0

    async def run(self) -> None:
        """Serves until the claim ends."""
        settings = self._settings
        serve_health(self._context, lambda: {"application": settings.application, "served": str(self._connections)})
        container = await wait_for_claim(self._context, settings.image, subjects.ANY_NODE)
        try:
            application = load_application(settings.application, settings.folder)
            lifespan = Lifespan(application)
            await lifespan.start()
            await self._listen(container, application, lifespan)
        except (CannotLoad, StartupFailed, ContainerError) as error:
            container.log(str(error))
            await container.exit(1, str(error))
            raise ProcessEnd(str(error)) from None
        await container.until_ended()
        await lifespan.stop()
        await container.exit(0)

    async def _listen(self, container: Container, application: Application, lifespan: Lifespan) -> None:
        server = HttpServer(application, lifespan.state, container.log)
        for port in _ports(container):
            await container.listen_tcp(port, functools.partial(self._accept, container, server, port))
            container.log(f"podwire: {self._settings.application} listens on port {port}", stream="stdout")

    def _accept(self, container: Container, server: HttpServer, port: int, connection: Connection) -> None:
        self._connections += 1
        work = server.serve(connection, (container.start.address, port))
        self._context.tasks.start(work, name="http connection")


def _ports(container: Container) -> list[int]:
    """The declared TCP ports, else that of $PORT, else 8000. Raises ContainerError."""
    declared = [port for protocol, port in container.config.ports if protocol == "TCP"]
    if declared:
        return declared
    wanted = container.config.environment.get("PORT", "")
    if wanted and not (wanted.isascii() and wanted.isdigit() and 0 < int(wanted[:6]) < 65536):
        raise ContainerError("EINVAL", f"PORT={wanted!r}: a port from 1 to 65535 is needed")
    return [int(wanted) if wanted else _USUAL_PORT]
