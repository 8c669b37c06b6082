"""A capture on one machine: packet sockets in its namespaces, a drop monitor, and one stream of what they saw.

Nothing here waits without a bound: the sockets' queues are bounded and count what they lose, and they are emptied only
when everything that was taken before is under way.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from podwire.proto.messages import machine as messages
from podwire.proto.messages.capture import Captured, Record, Seen, build_block
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.sockets.capture import PacketSocket
from podwire.services.node.kernel.sockets.drop_monitor import DropMonitor
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.runtime.sessions import Session
from podwire.services.node.traffic.packet_filter import PacketFilter

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_BATCH_BYTES: Final = 32 * 1024


class MachineCapture:
    """Open from the moment it is made; `namespace` None means every namespace, also those that come later."""

    def __init__(self, machine: "Machine", call: messages.Capture, namespace: str | None) -> None:
        self.changed = asyncio.Event()
        self._machine, self._only = machine, namespace
        self._devices = tuple(call.devices)
        self._filter = PacketFilter(call.hosts, call.ports)
        self._started = machine.clock.now_ns() - machine.clock.monotonic_ns()
        self._sockets: dict[str, PacketSocket] = {}
        self._names: dict[str, str] = {}
        self._pending: deque[Captured] = deque()
        self._ended: list[Record] = []
        kernel = machine.shell.kernel
        for each in list(kernel.namespaces.values()):
            self._open(each)
        kernel.namespace_listeners.append(self._open)
        self._monitor = DropMonitor(kernel) if call.drops else None
        if self._monitor is not None:
            self._monitor.on_ready = self.changed.set

    def _open(self, namespace: Namespace) -> None:
        if self._only is None or namespace.name == self._only:
            socket = self._sockets[namespace.name] = namespace.sockets.open_capture()
            socket.on_ready = self.changed.set

    def take(self) -> list[Record]:
        """What waits, in order, up to a batch; nothing if nothing waits."""
        records: list[Record] = []
        room = _BATCH_BYTES
        while room > 0 and (self._pending or self._gather()):
            record = self._pending.popleft()
            records.append(record)
            room -= len(record.frame) + 64
        return records

    def _gather(self) -> bool:
        """Empties the queues; whether there was anything that is wanted."""
        found = [*self._frames(), *self._deaths()]
        found.sort(key=lambda each: each[0])
        self._forget_gone()
        self._pending.extend(record for _, record in found if self._wants(record))
        return bool(self._pending)

    def _wants(self, record: Captured) -> bool:
        return (not self._devices or record.device in self._devices) and self._filter.wants(record.frame)

    def _frames(self) -> Iterator[tuple[int, Captured]]:
        for name, socket in self._sockets.items():
            place = self._place(name)
            while (seen := socket.receive()) is not None:
                time = self._started + seen.time
                yield seen.order, Captured(time, place, seen.device, seen.is_outgoing, seen.frame, seen.trace)

    def _forget_gone(self) -> None:
        """Namespaces that were deleted are not kept; what they counted is."""
        namespaces = self._machine.shell.kernel.namespaces
        for name in [name for name, each in self._sockets.items() if namespaces.get(name) is not each.namespace]:
            self._ended += self._counted(name)
            del self._sockets[name]
            self._names.pop(name, None)

    def _counted(self, name: str) -> list[Record]:
        counts = self._sockets[name].by_device.items()
        return [Seen(self._place(name), device, *each) for device, each in counts]

    def _deaths(self) -> Iterator[tuple[int, Captured]]:
        while self._monitor is not None and (dead := self._monitor.receive()) is not None:
            if self._only is None or dead.netns == self._only:
                time, place = self._started + dead.time, self._place(dead.netns)
                reason = dead.reason, dead.detail
                yield dead.order, Captured(time, place, dead.device, False, dead.frame, dead.trace, *reason)

    def _place(self, name: str) -> str:
        """Whose a namespace is, remembered: its pod may be gone when its last frames are read."""
        owner = self._machine.shell.owner_of_namespace(name)
        if owner != name or name not in self._names:
            self._names[name] = owner
        return self._names[name]

    def statistics(self) -> list[Record]:
        """How much was seen and lost."""
        seen = [*self._ended, *(each for name in self._sockets for each in self._counted(name))]
        if self._monitor is not None and self._monitor.dropped:
            seen.append(Seen("", "", 0, self._monitor.dropped))
        return seen

    def close(self) -> None:
        """Lets go of every namespace."""
        listeners = self._machine.shell.kernel.namespace_listeners
        if self._open in listeners:
            listeners.remove(self._open)
        for socket in self._sockets.values():
            socket.close()
        if self._monitor is not None:
            self._monitor.close()


async def run_capture(machine: "Machine", capture: MachineCapture, session: Session) -> None:
    """Tells what the capture sees until the session's input ends; then the rest, and how much there was."""
    ended = machine.tasks.start(_end_of_input(session, capture), name="capture input")
    try:
        while not ended.done():
            await capture.changed.wait()
            capture.changed.clear()
            await _tell(capture, session)
        capture.close()
        await _tell(capture, session)
        await session.stdout.write(build_block(capture.statistics()))
        session.finish(0)
    except BrokenPipe:
        return
    finally:
        ended.cancel()
        capture.close()


async def _end_of_input(session: Session, capture: MachineCapture) -> None:
    while await session.stdin.read():
        pass
    capture.changed.set()


async def _tell(capture: MachineCapture, session: Session) -> None:
    while records := capture.take():
        await session.stdout.write(build_block(records))
