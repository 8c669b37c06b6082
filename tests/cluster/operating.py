"""An operator's calls to the machines of a whole simulated cluster."""

import asyncio
from itertools import count
from typing import Any, Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import Message

from .conftest import Booted

Json = dict[str, Any]
_SESSIONS: Final = count(1)


async def ask(booted: Booted, node: str, call: messages.Call) -> messages.Answer:
    payload = codec.encode(messages.MachineRequest(call=call))
    answer = await pieces.request(booted.cluster.operator, subjects.machine(node), payload, 20)
    reply: messages.Answer = codec.decode_union(messages.Answer, answer)
    return reply


async def shell(booted: Booted, node: str, command: str) -> tuple[str, int]:
    """The output of a command line on a machine, and its exit code."""
    session = _Session(booted, node)
    assert isinstance(await ask(booted, node, messages.Shell(session=session.name, command=command)), messages.Accepted)
    return await session.ended()


async def execute(booted: Booted, pod: Json, command: list[str]) -> tuple[str, int]:
    """The output of a program in a pod's first container, and its exit code."""
    metadata, spec = pod["metadata"], pod["spec"]
    session = _Session(booted, spec["nodeName"])
    request = frames.ExecRequest(
        session=session.name,
        namespace=metadata["namespace"],
        pod=metadata["name"],
        uid=metadata["uid"],
        container=spec["containers"][0]["name"],
        command=command,
    )
    payload = await pieces.request(
        booted.cluster.operator, subjects.kubelet(spec["nodeName"]), codec.encode(request), 20
    )
    reply: frames.KubeletReply = codec.decode_union(frames.KubeletReply, payload)
    assert not isinstance(reply, frames.StreamRefused), reply.message
    return await session.ended()


class _Session:
    """What a program prints, and its end."""

    def __init__(self, booted: Booted, node: str) -> None:
        self.name = f"s{next(_SESSIONS)}"
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._output: list[bytes] = []
        self._heard = booted.cluster.operator.subscribe(subjects.stream_output(node, self.name), self._take)

    def _take(self, message: Message) -> None:
        frame: frames.StreamFrame = codec.decode_union(frames.StreamFrame, message.payload)
        if isinstance(frame, frames.Data):
            self._output.append(frame.data)
        elif isinstance(frame, frames.Exit):
            self._code.set_result(frame.code)

    async def ended(self) -> tuple[str, int]:
        code = await self._code
        self._heard.close()
        return b"".join(self._output).decode(), code
