"""The machine's side of a claimed container's connections outwards: made once, counted, told of, given up."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

from surroundings import SERVER, Machine

from podwire.proto.messages import codec
from podwire.proto.messages import container as messages
from podwire.proto.messages.runtime import ContainerConfig, SandboxConfig
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.tasks import OrderedTaskGroup
from podwire.services.node.files import ContainerFiles, Files
from podwire.services.node.machine import Machine as NodeMachine
from podwire.services.node.processes import PidNamespace
from podwire.services.node.runtime.claimed import ClaimedContainer
from podwire.services.node.runtime.records import ContainerRecord, SandboxRecord


class Claim:
    """A claim in the pod `client`: what it answered and signalled."""

    def __init__(self, machine: Machine, tasks: OrderedTaskGroup) -> None:
        self.replies: list[messages.Reply] = []
        self.signals: list[messages.Signal] = []
        around = SimpleNamespace(
            name="node-1", boot_id="boot", address="", shell=machine.shell, bus=self, tasks=tasks, clock=machine.clock
        )
        pids = PidNamespace()
        sandbox = SandboxRecord("s", SandboxConfig(name="p", namespace="d", uid="u"), 0, "client", pids)
        config = ContainerConfig(name="c", image="coredns", claimed="coredns")
        record = ContainerRecord("c", sandbox, config, 0, ContainerFiles(Files({}), Files({}), [], False), pids)
        record.claimant = "coredns.i0"
        self.container = ClaimedContainer(cast(NodeMachine, around), record, lambda *_: None)

    def publish(self, subject: str, payload: bytes) -> None:
        """Takes an answer or a signal."""
        if subject == "reply":
            self.replies.append(codec.decode_union(messages.Reply, payload))
        else:
            self.signals.append(codec.decode(messages.ContainerSignal, payload).signal)

    async def call(self, request: messages.Request) -> messages.Reply:
        """One call, and a second for what follows from it."""
        call = messages.ContainerCall(instance="i0", boot_id="boot", request=request)
        self.container.answer(Message("calls", codec.encode(call), "reply"))
        await asyncio.sleep(1)
        return self.replies[-1]


def play(scene: Callable[[Claim, list[Any]], Awaitable[None]]) -> None:
    """A claim beside a server on port 80 of the pod `server`, which keeps what it accepted."""

    async def main(machine: Machine) -> None:
        accepted: list[Any] = []
        machine.process([], machine.nobody, bytearray(), bytearray(), "server").network.listen(80, accepted.append)
        tasks = OrderedTaskGroup()
        try:
            async with tasks:
                await scene(Claim(machine, tasks), accepted)
                raise asyncio.CancelledError
        except asyncio.CancelledError:
            pass

    Machine().play(main)


def connect(port: int = 80, number: int = -1) -> messages.ConnectTcp:
    return messages.ConnectTcp(socket=number, address=SERVER, port=port)


def test_a_connection_is_made_once_and_carries_bytes_both_ways() -> None:
    async def scene(claim: Claim, accepted: list[Any]) -> None:
        assert await claim.call(connect()) == messages.Opened(socket=-1)
        assert await claim.call(connect()) == messages.Opened(socket=-1)
        assert claim.signals == [messages.Connected(socket=-1)]
        assert len(accepted) == 1
        assert await claim.call(messages.Send(socket=-1, offset=0, data=b"ping")) == messages.Taken()
        assert await accepted[0].read() == b"ping"
        await accepted[0].write(b"pong")
        await asyncio.sleep(1)
        assert claim.signals[-1] == messages.Received(socket=-1, offset=0, data=b"pong")

    play(scene)


def test_a_refused_connection_is_told_of_with_its_errno() -> None:
    async def scene(claim: Claim, accepted: list[Any]) -> None:
        await claim.call(connect(81))
        (signal,) = claim.signals
        assert isinstance(signal, messages.Reset)
        assert (signal.socket, signal.errno) == (-1, "ECONNREFUSED")

    play(scene)


def test_a_number_of_the_machines_own_is_refused() -> None:
    async def scene(claim: Claim, accepted: list[Any]) -> None:
        reply = await claim.call(connect(number=3))
        assert reply == messages.Refused(errno="EINVAL", message="socket 3 must be negative")
        assert accepted == []

    play(scene)


def test_closing_closes_the_connection() -> None:
    async def scene(claim: Claim, accepted: list[Any]) -> None:
        await claim.call(connect())
        await claim.call(messages.CloseSocket(socket=-1))
        assert await accepted[0].read() == b""

    play(scene)
