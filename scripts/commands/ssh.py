"""`podwire ssh NODE COMMAND…`: runs a command line on a machine."""

import asyncio
import secrets
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.services.chassis.bus.base import Message

Take = Callable[[int, bytes], None]
"""Takes output: channel and bytes."""


def ssh(
    node: Annotated[str, typer.Argument(help="The machine: control-plane, node-1, …")],
    command: Annotated[list[str], typer.Argument(help="What to run there.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Run a command on a node, as `ssh node-1 "…"` does."""
    line = " ".join(command)
    raise typer.Exit(run_connected(data_dir, lambda client: run_shell(client, node, line, _copy)))


def _copy(channel: int, data: bytes) -> None:
    stream = sys.stderr if channel == frames.STDERR else sys.stdout
    stream.buffer.write(data)
    stream.flush()


async def run_shell(client: Client, node: str, line: str, take: Take) -> int:
    """Runs a command line on a machine; output goes to `take`. The exit code. Raises UserError."""
    session = secrets.token_hex(8)
    ended: asyncio.Future[frames.Exit] = asyncio.get_running_loop().create_future()
    received = 0

    def on_frame(message: Message) -> None:
        nonlocal received
        try:
            frame: frames.StreamFrame = codec.decode_union(frames.StreamFrame, message.payload)
        except codec.ForeignMessage:
            return
        received += 1
        if ended.done():
            return
        if frame.sequence != received or isinstance(frame, frames.StreamError):
            reason = frame.message if isinstance(frame, frames.StreamError) else "output was lost"
            ended.set_exception(UserError(f"{node}: {reason}"))
        elif isinstance(frame, frames.Data):
            take(frame.channel, frame.data)
        elif isinstance(frame, frames.Exit):
            ended.set_result(frame)

    client.bus.subscribe(subjects.stream_output(node, session), on_frame)
    await client.bus.flush()
    answer = await client.ask_machine(node, messages.Shell(session=session, command=line))
    if isinstance(answer, messages.Refused):
        raise UserError(f"{node}: {answer.message}")
    beat = asyncio.get_running_loop().create_task(_stay_alive(client, node, session))
    try:
        return (await ended).code
    finally:
        beat.cancel()


async def _stay_alive(client: Client, node: str, session: str) -> None:
    sequence = 0
    while True:
        await asyncio.sleep(frames.ALIVE_EVERY)
        sequence += 1
        client.bus.publish(subjects.stream_input(node, session), codec.encode(frames.Alive(sequence)))
