"""Calls over the emulated network of a simulated cluster, and command lines on its machines."""

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


class Prober:
    """Asks machines as the operator."""

    def __init__(self, bus: base.Bus) -> None:
        self._bus = bus
        self._sessions = count(1)

    async def connect(self, node: str, call: messages.Connect) -> messages.Outcome:
        """What came of one exchange; a refusal (the pod is not there) is a failure. Raises Silent."""
        answer = await self._ask(node, call)
        if isinstance(answer, messages.Outcome):
            return answer
        return messages.Outcome(success=False, text=str(answer), duration=0)

    async def shell(self, node: str, command: str) -> str:
        """What a command line prints. Raises Silent."""
        session = f"probe-{next(self._sessions)}"
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        output: list[bytes] = []

        def take(message: base.Message) -> None:
            frame: frames.StreamFrame = codec.decode_union(frames.StreamFrame, message.payload)
            if isinstance(frame, frames.Data):
                output.append(frame.data)
            elif isinstance(frame, frames.Exit | frames.StreamError) and not ended.done():
                ended.set_result(None)

        listening = self._bus.subscribe(subjects.stream_output(node, session), take)
        try:
            await self._ask(node, messages.Shell(session=session, command=command))
            await asyncio.wait_for(ended, _PATIENCE)
        except TimeoutError:
            raise Silent(f"{node}: no answer to {command!r}") from None
        finally:
            listening.close()
        return b"".join(output).decode()

    async def _ask(self, node: str, call: messages.Call) -> messages.Answer:
        payload = codec.encode(messages.MachineRequest(call=call))
        try:
            reply = await pieces.request(self._bus, subjects.machine(node), payload, _PATIENCE)
        except base.BusError as error:
            raise Silent(str(error)) from None
        answer: messages.Answer = codec.decode_union(messages.Answer, reply)
        return answer
