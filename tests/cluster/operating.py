"""An operator's calls to the machines of a whole simulated cluster."""

import asyncio
from itertools import count
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import Message

from .conftest import Booted

_SESSIONS: Final = count(1)


async def ask(booted: Booted, node: str, call: messages.Call) -> messages.Answer:
    payload = codec.encode(messages.MachineRequest(call=call))
    answer = await pieces.request(booted.cluster.operator, subjects.machine(node), payload, 20)
    reply: messages.Answer = codec.decode_union(messages.Answer, answer)
    return reply


async def shell(booted: Booted, node: str, command: str) -> tuple[str, int]:
    """The output of a command line on a machine, and its exit code."""
    session = f"s{next(_SESSIONS)}"
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    output: list[bytes] = []

    def take(message: Message) -> None:
        frame: frames.StreamFrame = codec.decode_union(frames.StreamFrame, message.payload)
        if isinstance(frame, frames.Data):
            output.append(frame.data)
        elif isinstance(frame, frames.Exit):
            ended.set_result(frame.code)

    booted.cluster.operator.subscribe(subjects.stream_output(node, session), take)
    assert isinstance(await ask(booted, node, messages.Shell(session=session, command=command)), messages.Accepted)
    code = await ended
    return b"".join(output).decode(), code
