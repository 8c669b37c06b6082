"""A real process: connects, runs one service, exits when it ends, is told to, or loses its parent."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import uvloop

from podwire.services.chassis import logs
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.bus.nats import NatsBus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.disk import DiskUnreadable, MemoryDisk
from podwire.services.chassis.faults import Faults, FaultyBus, SkewedClock
from podwire.services.chassis.health import local_subjects
from podwire.services.chassis.live.clock import LiveClock
from podwire.services.chassis.live.disk import FileDisk
from podwire.services.chassis.serving import Make, serve
from podwire.services.chassis.settings import ProcessSettings, SettingsError, load
from podwire.services.chassis.tasks import OrderedTaskGroup

_ALIVE_EVERY: Final = 2.0


def new_instance() -> str:
    """A process's id, never used again."""
    return secrets.token_hex(4)


def main[S: ProcessSettings](component: str, kind: type[S], make: Make[S]) -> None:
    """`python -m podwire.services.<component>`: settings from the environment."""
    given: dict[str, object] = {} if "PODWIRE_INSTANCE" in os.environ else {"instance": new_instance()}
    try:
        settings = load(kind, given)
    except SettingsError as error:
        sys.stderr.write(f"podwire {component}: {error}\n")
        sys.exit(2)
    sys.exit(run(component, settings, make))


@dataclass(frozen=True, slots=True)
class Family:
    """Pipes to the parent: `parent` reads end-of-file when it is gone, into `claims` a line tells of a claim."""

    parent: int
    claims: int


def run[S: ProcessSettings](component: str, settings: S, make: Make[S], family: Family | None = None) -> int:
    """Runs a service until it ends; the exit code."""
    logs.configure(settings.log_level, component, settings.instance)
    try:
        uvloop.run(_run(component, settings, make, family))
    except BusError as error:
        structlog.get_logger().error("no bus", reason=str(error))
        return 1
    except ProcessEnd as end:
        structlog.get_logger().info("process ends", reason=str(end))
        return 0
    except DiskUnreadable as error:
        structlog.get_logger().error("the disk cannot be read", reason=str(error))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except Exception:
        structlog.get_logger().exception("the service failed")
        return 1
    return 0


async def _run[S: ProcessSettings](component: str, settings: S, make: Make[S], family: Family | None) -> None:
    loop = asyncio.get_running_loop()
    current = asyncio.current_task()
    assert current is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, current.cancel)
    if family is not None:
        loop.add_reader(family.parent, os._exit, 0)
    random = RandomStream(settings.seed or secrets.randbits(64))
    bus = NatsBus(f"{component}.{settings.instance}", random)
    await bus.connect(settings.bus_url, settings.bus_user, settings.bus_password)
    try:
        async with OrderedTaskGroup() as tasks:
            faults = Faults(random, local_subjects(component, settings.instance, settings.node))
            context = Context(
                component=component,
                instance=settings.instance,
                node=settings.node,
                bus=FaultyBus(bus, faults),
                clock=SkewedClock(LiveClock(), faults),
                random=random,
                tasks=tasks,
                log=structlog.get_logger(),
                faults=faults,
                on_claim=_teller(family),
                disk=FileDisk(Path(settings.disk)) if settings.disk else MemoryDisk(),
            )
            if settings.alive_file:
                tasks.start(_tell_that_it_lives(bus, Path(settings.alive_file)), name="alive file")
            await serve(context, settings, make)
    finally:
        await bus.close()


def _teller(family: Family | None) -> Callable[[], None]:
    def tell() -> None:
        if family is not None:
            os.write(family.claims, f"{os.getpid()}\n".encode())

    return tell


async def _tell_that_it_lives(bus: NatsBus, file: Path) -> None:
    """The file's time is when the process last had its bus, within two seconds: a container's health."""
    while True:
        if bus.connected:
            file.touch()
        await asyncio.sleep(_ALIVE_EVERY)
