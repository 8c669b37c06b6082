"""A program's streams over the bus: numbered frames in, an exit code at the end."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import BusError, Message

Take = Callable[[int, bytes], None]
"""Takes output: channel and bytes."""


class _Output:
    """The frames of one session, in order; a gap ends it."""

    def __init__(self, place: str, take: Take) -> None:
        self.ended: asyncio.Future[frames.Exit] = asyncio.get_running_loop().create_future()
        self._place, self._take, self._received = place, take, 0

    def on_frame(self, message: Message) -> None:
        try:
            frame: frames.StreamFrame = codec.decode_union(frames.StreamFrame, message.payload)
        except codec.ForeignMessage:
            return
        self._received += 1
        if self.ended.done():
            return
        if frame.sequence != self._received or isinstance(frame, frames.StreamError):
            reason = frame.message if isinstance(frame, frames.StreamError) else "output was lost"
            self.ended.set_exception(UserError(f"{self._place}: {reason}"))
        elif isinstance(frame, frames.Data):
            self._take(frame.channel, frame.data)
        elif isinstance(frame, frames.Exit):
            self.ended.set_result(frame)


async def _run(client: Client, node: str, take: Take, open_session: Callable[[str], Awaitable[None]]) -> frames.Exit:
    session = secrets.token_hex(8)
    output = _Output(node, take)
    subscription = client.bus.subscribe(subjects.stream_output(node, session), output.on_frame)
    await client.bus.flush()
    beat = asyncio.get_running_loop().create_task(_stay_alive(client, node, session))
    try:
        await open_session(session)
        return await output.ended
    finally:
        beat.cancel()
        subscription.close()


async def _stay_alive(client: Client, node: str, session: str) -> None:
    sequence = 0
    while True:
        await asyncio.sleep(frames.ALIVE_EVERY)
        sequence += 1
        client.bus.publish(subjects.stream_input(node, session), codec.encode(frames.Alive(sequence)))


async def run_shell(client: Client, node: str, line: str, take: Take) -> int:
    """Runs a command line on a machine; its exit code. Raises UserError."""

    async def open_session(session: str) -> None:
        answer = await client.ask_machine(node, messages.Shell(session=session, command=line))
        if isinstance(answer, messages.Refused):
            raise UserError(f"{node}: {answer.message}")

    return (await _run(client, node, take, open_session)).code


async def run_in_pod(client: Client, pod: dict[str, object], command: list[str], take: Take) -> int:
    """Runs a program in a pod's first container, through its kubelet; its exit code. Raises UserError."""
    metadata, spec = _section(pod, "metadata"), _section(pod, "spec")
    containers = spec["containers"]
    assert isinstance(containers, list)
    node = str(spec["nodeName"])

    async def open_session(session: str) -> None:
        request = frames.ExecRequest(
            session=session,
            namespace=str(metadata["namespace"]),
            pod=str(metadata["name"]),
            uid=str(metadata["uid"]),
            container=containers[0]["name"],
            command=command,
        )
        try:
            answer = await pieces.request(client.bus, subjects.kubelet(node), codec.encode(request), 10)
        except BusError as error:
            raise UserError(f"the kubelet of {node} does not answer: {error}") from None
        reply: frames.KubeletReply = codec.decode_union(frames.KubeletReply, answer)
        if isinstance(reply, frames.StreamRefused):
            raise UserError(reply.message)

    end = await _run(client, node, take, open_session)
    if end.message:
        raise UserError(end.message)
    return end.code


def _section(body: dict[str, object], name: str) -> dict[str, object]:
    value = body[name]
    assert isinstance(value, dict)
    return value
