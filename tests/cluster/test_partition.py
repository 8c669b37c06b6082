"""A machine is cut off from all others: what goes on, what ends, when, and what comes back (virtual time).

Source of the times: kube-controller-manager's node-monitor-grace-period (40 s) and DefaultTolerationSeconds (300 s).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.messages import codec
from podwire.proto.messages.machine import Connect, Outcome
from podwire.proto.messages.process import Impairment
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.chaos.links import BadDirection
from podwire.scripts.cluster.layout import OUTSIDE
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.simulation.forks import forked
from podwire.scripts.simulation.scenario import REPLICAS
from podwire.services.chassis.bus.base import Message
from podwire.services.node.kernel.drops import LOST_ON_THE_LINK

from .conftest import Booted
from .operating import ask

CUT_OFF = "node-1"
OTHER = "node-2"
SEEDS = 4
TRACE = "00000000000000000000000000000001"
Json = dict[str, Any]
Condition = Callable[[], Awaitable[bool]]


def around(booted: Booted) -> list[BadDirection]:
    """Both directions of every link of the machine."""
    others = [machine.name for machine in booted.cluster.layout.machines if machine.name != CUT_OFF]
    lost = Impairment(loss=1)
    pairs = [(CUT_OFF, other) for other in (*others, OUTSIDE)]
    return [BadDirection(*ends, lost) for pair in pairs for ends in (pair, pair[::-1])]


async def get(booted: Booted, node: str, address: str, trace: str = "") -> Outcome:
    """A request from a machine to a pod."""
    answer = await ask(booted, node, Connect(trace=trace, kind="http", address=address, port=80, timeout=5))
    assert isinstance(answer, Outcome)
    return answer


async def pods_by_node(booted: Booted) -> dict[str, Json]:
    """Those that have a node and are to stay."""
    pods = await booted.cluster.api.list(resources.PODS, "default")
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return {pod["spec"]["nodeName"]: pod for pod in staying if "nodeName" in pod["spec"]}


async def ready_addresses(booted: Booted) -> list[str]:
    slices = await booted.cluster.api.list(resources.ENDPOINT_SLICES, "default")
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    return [address for each in endpoints if each["conditions"].get("ready") for address in each["addresses"]]


async def node_status(booted: Booted) -> str:
    node = await booted.cluster.api.get(resources.NODES, "", CUT_OFF)
    found: str = next(each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready")
    return found


def drops_of(booted: Booted, trace: str) -> set[str]:
    """The reasons for which packets of a trace will have been dropped."""
    reasons: set[str] = set()

    def hear(message: Message) -> None:
        hops: list[Hop] = codec.decode_union(list[Hop], message.payload)
        reasons.update(hop.reason for hop in hops if hop.trace == trace and hop.kind == "drop")

    booted.cluster.operator.subscribe(subjects.telemetry_kind("hop"), hear)
    return reasons


async def after(booted: Booted, seconds: float, condition: Condition, what: str) -> float:
    """How long it takes until something holds, of which it is not asked before so many seconds."""
    await asyncio.sleep(seconds)
    return seconds + await booted.cluster.until(condition, 120, what)


async def cut_off(booted: Booted) -> None:
    """The whole story of one machine."""
    cluster, scenario = booted.cluster, booted.scenario
    await scenario.apply_workload()
    await scenario.request()
    pods = await pods_by_node(booted)
    assert set(pods) == {CUT_OFF, OTHER}
    inside, beyond = (pods[node]["status"]["podIP"] for node in (CUT_OFF, OTHER))
    assert inside in await ready_addresses(booted)

    cluster.set_links(around(booted))
    assert (await get(booted, CUT_OFF, inside)).success, "what stays on the machine goes on"
    reasons = drops_of(booted, TRACE)
    crossing = await get(booted, CUT_OFF, beyond, TRACE)
    assert not crossing.success and crossing.text in ("no answer within 5 s", "No route to host")
    assert LOST_ON_THE_LINK in reasons

    async def unknown() -> bool:
        return await node_status(booted) == "Unknown"

    assert 25 < await after(booted, 20, unknown, "the node is NotReady") < 50

    async def left() -> bool:
        return inside not in await ready_addresses(booted)

    await cluster.until(left, 5, "its endpoint is not ready any more")
    assert beyond in await ready_addresses(booted)

    async def evicted() -> bool:
        now = await pods_by_node(booted)
        return CUT_OFF not in now

    assert 290 < await after(booted, 280, evicted, "its pods are evicted") < 310
    assert (await get(booted, CUT_OFF, inside)).success, "nobody could tell its kubelet"

    cluster.set_links([])

    async def back() -> bool:
        every = await cluster.api.list(resources.PODS, "default")
        return await node_status(booted) == "True" and len(every) == REPLICAS and all(map(is_ready, every))

    await cluster.until(back, 60, "the node is Ready, and the evicted pod is gone")
    await cluster.until(scenario.whole, 60, "all is whole")
    assert not (await get(booted, CUT_OFF, inside)).success, "the evicted pod has ended"
    assert (await scenario.request()).startswith("HTTP 200")


def test_a_machine_that_is_cut_off(booted: Booted) -> None:
    booted.cluster.run(cut_off(booted))


def test_the_story_is_the_same_whatever_the_seed(booted: Booted) -> None:
    """Order, delays and choices follow from the seed; no time and no outcome of the story does."""

    def tell(seed: int) -> int:
        booted.cluster.reseed(seed)
        booted.cluster.run(cut_off(booted))
        return seed

    assert sorted(forked(iter(range(1, SEEDS + 1)), tell, int, 2)) == list(range(1, SEEDS + 1))
