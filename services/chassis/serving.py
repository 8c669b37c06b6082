"""Running one service in its context: in a process of its own, in a fork of the supervisor, or in a simulation."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from podwire.services.chassis.claim import Container, mirror
from podwire.services.chassis.context import Context
from podwire.services.chassis.settings import ProcessSettings


class Service(Protocol):
    """What a component's class makes."""

    async def run(self) -> None:
        """Serves until it is cancelled, or the process is to end."""


@runtime_checkable
class ServesContainer(Protocol):
    """One that uses the sockets of its mirror pod's container."""

    async def serve_container(self, container: Container) -> None:
        """Told once of each container that it takes."""


type Make[S: ProcessSettings] = Callable[[Context, S], Service]


async def serve[S: ProcessSettings](context: Context, settings: S, make: Make[S]) -> None:
    """Runs a service; one that is shown as a mirror pod also takes that pod's container."""
    service = make(context, settings)
    if settings.mirror_image:
        on_container = service.serve_container if isinstance(service, ServesContainer) else None
        context.tasks.start(mirror(context, settings.mirror_image, settings.node, on_container), name="mirror pod")
    await service.run()
