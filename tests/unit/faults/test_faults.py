"""Faults of a process's link: what is lost, what is late, what is never touched."""

import asyncio

import pytest
import structlog

from podwire.proto.messages.process import Fault
from podwire.services.chassis.bus.base import Message, RequestTimeout
from podwire.services.chassis.bus.memory import Broker
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.faults import Faults, FaultyBus
from podwire.services.chassis.health import local_subjects
from podwire.services.chassis.simulation.loop import SimulationLoop
from podwire.services.chassis.tasks import GroupClosing

LATE = 250_000_000


@pytest.mark.parametrize(
    ("rules", "subject", "delay"),
    [
        ([], "a.b", 0),
        ([Fault(subject="a.*", loss=1.0)], "a.b", None),
        ([Fault(subject="a.*", loss=1.0)], "b.b", 0),
        ([Fault(subject=">", delay=LATE)], "a.b", LATE),
        ([Fault(subject="a.>", delay=LATE), Fault(subject="a.b", delay=1)], "a.b", LATE + 1),
        ([Fault(subject=">", loss=1.0)], "kernel.node-1", 0),
        ([Fault(subject=">", loss=1.0)], "kernel.node-2", None),
    ],
)
def test_what_a_message_meets(rules: list[Fault], subject: str, delay: int | None) -> None:
    faults = Faults(RandomStream(1), local_subjects("kube-proxy", "x", "node-1"))
    faults.rules = tuple(rules)
    assert faults.delay(subject) == delay


def test_loss_is_as_likely_as_told() -> None:
    faults = Faults(RandomStream(1))
    faults.rules = (Fault(subject=">", loss=0.25),)
    lost = sum(faults.delay("a") is None for _ in range(4000))
    assert 900 < lost < 1100
    assert faults.lost == lost


def test_a_late_message_arrives_late_and_a_lost_request_times_out() -> None:
    loop = SimulationLoop(1)  # type: ignore[abstract]  # what it does not have raises Forbidden
    arrived: list[int] = []

    async def main() -> None:
        broker = Broker(RandomStream(1))
        faults = Faults(RandomStream(2))
        sender, receiver = FaultyBus(broker.connect("a"), faults), broker.connect("b")

        def take(message: Message) -> None:
            arrived.append(loop.now_ns)

        receiver.subscribe("news", take)
        faults.rules = (Fault(subject="news", delay=LATE), Fault(subject="ask", loss=1.0))
        sender.publish("news", b"")
        with pytest.raises(RequestTimeout):
            await sender.request("ask", b"", 1.0)

    loop.run_until_complete(main())
    assert arrived == [LATE]
    assert loop.now_ns == 1_000_000_000


@pytest.mark.parametrize("late", [0, LATE])
@pytest.mark.parametrize(("error", "told"), [(GroupClosing("it ends"), []), (KeyError("x"), ["a handler failed"])])
def test_a_handler_that_fails_keeps_no_other_from_its_messages(error: Exception, told: list[str], late: int) -> None:
    """A process that is ending passes messages over; anything else is logged."""
    loop = SimulationLoop(1)  # type: ignore[abstract]  # what it does not have raises Forbidden
    arrived: list[bytes] = []

    async def main() -> None:
        broker = Broker(RandomStream(1))
        faults = Faults(RandomStream(2))
        faults.rules = (Fault(subject="news", delay=late),) if late else ()
        sender, receiver = broker.connect("a"), FaultyBus(broker.connect("b"), faults)

        def fail(message: Message) -> None:
            raise error

        def take(message: Message) -> None:
            arrived.append(message.payload)

        receiver.subscribe("news", fail)
        receiver.subscribe("news", take)
        sender.publish("news", b"1")
        sender.publish("news", b"2")
        await asyncio.sleep(1)

    with structlog.testing.capture_logs() as logs:
        loop.run_until_complete(main())
    assert arrived == [b"1", b"2"]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == 2 * told
    assert loop.failures == []
