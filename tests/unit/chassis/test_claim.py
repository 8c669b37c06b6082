"""The process's side of a claim: one taker an offer, fenced by ids, ended by `gone` and by silence."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import structlog
from simulated import simulate

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import container as messages
from podwire.proto.messages.runtime import ContainerConfig
from podwire.services.chassis.bus.base import Message, NoResponders, RequestTimeout
from podwire.services.chassis.bus.memory import Broker
from podwire.services.chassis.chance import derive
from podwire.services.chassis.claim import Container, ContainerError, wait_for_claim
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.faults import Faults
from podwire.services.chassis.simulation.loop import SimulatedClock, SimulationLoop
from podwire.services.chassis.tasks import OrderedTaskGroup

IMAGE, NODE, ID = "coredns", "node-1", "c-1"


class ToyMachine:
    """Offers containers and answers the calls of those that it has."""

    def __init__(self, broker: Broker) -> None:
        self.bus = broker.connect("machine")
        self.calls: list[messages.ContainerCall] = []
        self.answer: messages.Reply | None = messages.Taken()
        self.bus.subscribe(subjects.container_calls(IMAGE, NODE, ID), self._on_call)

    def _on_call(self, message: Message) -> None:
        self.calls.append(codec.decode(messages.ContainerCall, message.payload))
        if self.answer is not None and message.reply:
            self.bus.publish(message.reply, codec.encode(self.answer))

    async def offer(self, image: str = IMAGE, boot_id: str = "boot") -> messages.Claim:
        offer = messages.Offer(image=image, node=NODE, boot_id=boot_id, container=ID, pod="kube-system/coredns-x")
        subject = subjects.container_offer(IMAGE, subjects.ANY_NODE)
        return codec.decode(messages.Claim, await self.bus.request(subject, codec.encode(offer), 0.5))

    def signal(self, signal: messages.Signal, boot_id: str = "boot") -> None:
        subject = subjects.container_signals(IMAGE, NODE, ID)
        self.bus.publish(subject, codec.encode(messages.ContainerSignal(boot_id=boot_id, sequence=0, signal=signal)))

    def start(self, boot_id: str = "boot") -> None:
        config = ContainerConfig(name="coredns", image=IMAGE)
        self.signal(
            messages.Start(config=config, hostname="h", address="10.244.1.2", node_address="", pod="p", namespace="n"),
            boot_id,
        )


class Idle:
    """One idle process that waits for a container."""

    def __init__(self, broker: Broker, tasks: OrderedTaskGroup, instance: str) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)
        random = derive(1, instance)
        self.told = 0
        self.bus = broker.connect(f"coredns.{instance}")
        self.context = Context(
            component="coredns", instance=instance, node="", bus=self.bus, clock=SimulatedClock(loop), random=random,
            tasks=tasks, log=structlog.get_logger(), faults=Faults(random), on_claim=self._claimed,
        )  # fmt: skip
        self.waiting = loop.create_task(wait_for_claim(self.context, IMAGE, subjects.ANY_NODE))

    def _claimed(self) -> None:
        self.told += 1


Body = Callable[[ToyMachine, list[Idle]], Coroutine[Any, Any, None]]


def claimed(body: Body, count: int = 1) -> None:
    """Runs `body` beside a machine and `count` idle processes, in virtual time."""

    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            idle = [Idle(broker, tasks, f"i{number}") for number in range(count)]
            await asyncio.sleep(0.01)
            await body(ToyMachine(broker), idle)
            for process in idle:
                process.waiting.cancel()
            tasks.cancel_all()

    simulate(main)


async def serving(machine: ToyMachine, process: Idle) -> Container:
    await machine.offer()
    machine.start()
    return await process.waiting


def test_one_of_the_idle_processes_takes_an_offer() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        claim = await machine.offer()
        machine.start()
        await asyncio.sleep(0.1)
        taken = [process for process in idle if process.waiting.done()]
        assert [process.context.instance for process in taken] == [claim.instance]
        assert claim.connection == taken[0].bus.name and [process.told for process in taken] == [1]

    claimed(body, count=5)


def test_each_offer_finds_another_process_and_then_none() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        takers = [(await machine.offer()).instance for _ in idle]
        assert sorted(takers) == [process.context.instance for process in idle]
        with pytest.raises(NoResponders):
            await machine.offer()

    claimed(body, count=3)


def test_an_offer_of_another_image_is_not_taken() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        with pytest.raises(RequestTimeout):
            await machine.offer(image="nginx")

    claimed(body)


def test_what_was_accepted_and_never_started_ends_the_process() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        await machine.offer()
        with pytest.raises(ProcessEnd, match="withdrawn"):
            await idle[0].waiting
        assert idle[0].told == 0

    claimed(body)


def test_a_start_of_another_boot_is_none() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        await machine.offer()
        machine.start(boot_id="another")
        with pytest.raises(ProcessEnd, match="withdrawn"):
            await idle[0].waiting

    claimed(body)


def test_foreign_offers_and_signals_are_passed_over() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        for payload in (b"", b"\xff", codec.encode([1]), codec.encode({"schema": 1})):
            machine.bus.publish(subjects.container_offer(IMAGE, subjects.ANY_NODE), payload)
        await machine.offer()
        machine.bus.publish(subjects.container_signals(IMAGE, NODE, ID), b"\xc1")
        machine.start()
        assert (await idle[0].waiting).start.pod == "p"

    claimed(body)


def test_calls_carry_both_ids() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        await container.call(messages.ReadFile(path="/etc/hosts"))
        assert [(call.instance, call.boot_id) for call in machine.calls] == [("i0", "boot")]

    claimed(body)


def test_gone_ends_the_process_at_the_next_call() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = messages.Gone()
        with pytest.raises(ProcessEnd, match="gone"):
            await container.call(messages.ReadFile(path="/x"))
        with pytest.raises(ProcessEnd, match="gone"):
            await container.until_ended()

    claimed(body)


@pytest.mark.parametrize(("boot_id", "ends"), [("boot", False), ("another", True)])
def test_a_machine_that_boots_ends_whoever_serves_a_container_of_before(boot_id: str, ends: bool) -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.bus.publish(subjects.booted(NODE), b"\xc1")
        machine.bus.publish(subjects.booted("another-node"), codec.encode(messages.Booted(boot_id="x")))
        machine.bus.publish(subjects.booted(NODE), codec.encode(messages.Booted(boot_id=boot_id)))
        await asyncio.sleep(0.1)
        assert container.ended.done() == ends

    claimed(body)


def test_a_boot_that_was_not_heard_of_shows_when_the_claim_is_asked_for() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        await serving(machine, idle[0])
        machine.answer = messages.Gone()
        await asyncio.sleep(30)

    with pytest.raises(ProcessEnd, match="gone"):
        claimed(body)


def test_a_refusal_carries_the_errno() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = messages.Refused(errno="EADDRINUSE", message="address in use")
        with pytest.raises(ContainerError, match="in use") as raised:
            await container.bind_udp(53, lambda data, peer: None)
        assert raised.value.name == "EADDRINUSE"

    claimed(body)


def test_a_machine_that_is_away_is_asked_again() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = None
        asyncio.get_running_loop().call_later(60.0, setattr, machine, "answer", messages.Taken())
        assert await container.call(messages.ReadFile(path="/x")) == messages.Taken()
        numbers = {call.number for call in machine.calls if isinstance(call.request, messages.ReadFile)}
        assert len(numbers) == 1 and 0 not in numbers

    claimed(body)


def test_stop_lets_the_process_end_by_itself() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.signal(messages.Stop(), boot_id="another")
        machine.signal(messages.Stop())
        await container.until_ended()
        await container.exit(0)
        assert machine.calls[-1].request == messages.Exit(code=0, message="")

    claimed(body)


def test_a_connection_outwards_is_made_once_however_often_it_is_asked_for() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = None
        asyncio.get_running_loop().call_later(3.0, setattr, machine, "answer", messages.Opened(socket=-1))
        asyncio.get_running_loop().call_later(9.0, machine.signal, messages.Connected(socket=-1))
        connection = await container.connect_tcp("10.244.1.9", 80)
        asked = {call.request for call in machine.calls if isinstance(call.request, messages.ConnectTcp)}
        assert asked == {messages.ConnectTcp(socket=-1, address="10.244.1.9", port=80)}
        machine.signal(messages.Received(socket=-1, offset=0, data=b"hello"))
        assert await connection.reader.readexactly(5) == b"hello"

    claimed(body)


def test_a_connection_that_is_refused_says_why() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = messages.Opened(socket=-1)
        refusal = messages.Reset(socket=-1, error="Connection refused", errno="ECONNREFUSED")
        asyncio.get_running_loop().call_later(1.0, machine.signal, refusal)
        with pytest.raises(ContainerError, match="refused") as raised:
            await container.connect_tcp("10.244.1.9", 80)
        assert raised.value.name == "ECONNREFUSED"

    claimed(body)


def test_an_accepted_connection_knows_where_its_peer_meant_to_go() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = messages.Opened(socket=1)
        accepted = asyncio.get_running_loop().create_future()
        await container.listen_tcp(15001, accepted.set_result, transparent=True)
        assert machine.calls[-1].request == messages.ListenTcp(port=15001, transparent=True)
        meant = {"original_address": "10.96.0.10", "original_port": 80}
        machine.signal(messages.Accepted(listener=1, socket=2, address="10.244.1.9", port=4000, **meant))
        assert (await accepted).original_destination == ("10.96.0.10", 80)

    claimed(body)


def test_bytes_that_are_missing_end_a_connection() -> None:
    async def body(machine: ToyMachine, idle: list[Idle]) -> None:
        container = await serving(machine, idle[0])
        machine.answer = messages.Opened(socket=1)
        accepted = asyncio.get_running_loop().create_future()
        await container.listen_tcp(80, accepted.set_result)
        machine.signal(messages.Accepted(listener=1, socket=2, address="10.244.1.9", port=4000))
        machine.signal(messages.Received(socket=2, offset=0, data=b"GET"))
        machine.signal(messages.Received(socket=2, offset=5, data=b"late"))
        connection = await accepted
        assert await connection.reader.readexactly(3) == b"GET"
        with pytest.raises(ConnectionResetError, match="lost"):
            await connection.reader.readexactly(1)

    claimed(body)
