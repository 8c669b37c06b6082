"""Whatever arrives on any subject of the bus is dropped or answered with an error; no process dies of it."""

import asyncio

from podwire.proto import subjects
from podwire.proto.messages import codec, wire
from podwire.proto.messages.process import Health, HealthRequest
from podwire.proto.messages.telemetry import Drop
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.permissions import Permissions
from podwire.services.chassis.chance import RandomStream

from .conftest import Booted

FOREIGN = [b"", b"\x00", b"\xff" * 40, b"\x00\xc1", b"{}", codec.encode({"schema": 1}), codec.encode([1, 2])]


def targets(booted: Booted) -> list[str]:
    """Every subject that anybody listens on exactly, and one for each pattern."""
    broker = booted.cluster.broker
    patterns = [entry.pattern for entry in broker._patterns]
    return [*broker._exact, *(pattern.replace("*", "x").replace(">", "x") for pattern in patterns)]


def test_foreign_bytes_on_every_subject_kill_nobody(booted: Booted) -> None:
    cluster = booted.cluster
    cluster.broker.users["stranger"] = Permissions()
    stranger = cluster.broker.connect("stranger", "stranger")
    before = [(process.name, process.instance) for process in cluster.processes]
    subjects_heard = targets(booted)
    assert len(subjects_heard) > 40

    async def health(component: str) -> dict[str, str]:
        process = next(entry for entry in cluster.processes if entry.plan.component == component)
        subject = subjects.process(component, process.instance)
        answer = await stranger.request(subject, codec.encode(HealthRequest()), 5)
        return codec.decode(Health, answer).facts

    async def shout() -> None:
        random = RandomStream(3)
        for subject in subjects_heard:
            for payload in [*FOREIGN, random.getrandbits(400).to_bytes(50)]:
                stranger.publish(subject, payload)
        await asyncio.sleep(5)
        for place in ("coredns", "scheduler"):
            assert int((await health(place))["dropped"]) > 0, place
        assert await booted.scenario.whole()

    cluster.run(shout())
    assert [(process.name, process.instance) for process in cluster.processes] == before


def test_malformed_frames_are_counted_and_traffic_goes_on(booted: Booted) -> None:
    cluster = booted.cluster
    cluster.broker.users["stranger"] = Permissions()
    stranger = cluster.broker.connect("stranger", "stranger")
    told: list[Drop] = []

    def hear(message: Message) -> None:
        told.extend(codec.decode_union(list[Drop], message.payload))

    stranger.subscribe(subjects.telemetry_kind("drop"), hear)

    async def health(node: str) -> dict[str, str]:
        process = cluster.find(f"node@{node}")
        subject = subjects.process("node", process.instance)
        answer = await stranger.request(subject, codec.encode(HealthRequest()), 5)
        return codec.decode(Health, answer).facts

    async def shout() -> None:
        stranger.publish(subjects.wire("nodes", subjects.BROADCAST_MAC), b"not a batch of frames")
        for length in range(0, 120, 3):
            frame = bytes((0xFF,)) * 6 + bytes(6) + b"\x08\x00" + b"\x45" * length
            stranger.publish(subjects.wire("nodes", subjects.BROADCAST_MAC), wire.encode([frame], {}))
        await booted.scenario.apply_workload()
        await asyncio.sleep(1)
        for machine in cluster.layout.machines:
            assert (await health(machine.name))["malformed"] == "1"
            reasons = {drop.reason for drop in told if drop.node == machine.name}
            assert reasons & {"IP_INHDR", "PKT_TOO_SMALL", "HDR_TRUNC"}, reasons
        assert (await booted.scenario.request()).startswith("HTTP 200")

    cluster.run(shout())
