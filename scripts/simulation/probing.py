"""An operator's calls to the machines of a simulated cluster: exchanges over the emulated network, command lines."""

import asyncio
from itertools import count
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.services.chassis.bus import base, pieces

_PATIENCE: Final = 10.0


class Silent(Exception):
    """The machine did not answer."""


class Session:
    """What a program prints, and its end; the name is for the call that starts it."""

    def __init__(self, bus: base.Bus, node: str, name: str) -> None:
        self.name, self._node = name, node
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._output: list[bytes] = []
        self._listening = bus.subscribe(subjects.stream_output(node, name), self._take)

    def _take(self, message: base.Message) -> None:
        frame: frames.StreamFrame = codec.decode_union(frames.StreamFrame, message.payload)
        if isinstance(frame, frames.Data):
            self._output.append(frame.data)
        elif isinstance(frame, frames.Exit):
            self._code.set_result(frame.code)
        elif isinstance(frame, frames.StreamError):
            self._code.set_exception(Silent(f"{self._node}: {frame.message}"))

    async def ended(self, patience: float | None = None) -> tuple[str, int]:
        """All output, and the exit code. Raises Silent, after `patience` seconds too."""
        try:
            code = await asyncio.wait_for(self._code, patience)
        except TimeoutError:
            raise Silent(f"{self._node}: no end within {patience:g} s") from None
        finally:
            self._listening.close()
        return b"".join(self._output).decode(), code


class Prober:
    """Asks machines as the operator."""

    def __init__(self, bus: base.Bus) -> None:
        self._bus = bus
        self._numbers = count(1)

    def session(self, node: str) -> Session:
        """A session of a name that none has had."""
        return Session(self._bus, node, f"probe-{next(self._numbers)}")

    async def connect(self, node: str, call: messages.Connect) -> messages.Outcome:
        """What came of one exchange; a refusal (the pod is not there) is a failure. Raises Silent."""
        answer = await self.ask(node, call)
        if isinstance(answer, messages.Outcome):
            return answer
        return messages.Outcome(success=False, text=str(answer), duration=0)

    async def shell(self, node: str, command: str, patience: float | None = _PATIENCE) -> tuple[str, int]:
        """What a command line prints, and its exit code. Raises Silent."""
        session = self.session(node)
        await self.ask(node, messages.Shell(session=session.name, command=command))
        return await session.ended(patience)

    async def ask(self, node: str, call: messages.Call) -> messages.Answer:
        """One call to a machine. Raises Silent."""
        payload = codec.encode(messages.MachineRequest(call=call))
        try:
            reply = await pieces.request(self._bus, subjects.machine(node), payload, _PATIENCE)
        except base.BusError as error:
            raise Silent(str(error)) from None
        answer: messages.Answer = codec.decode_union(messages.Answer, reply)
        return answer
