"""Draws docs/images/trace.svg, from a simulated cluster: `python -m podwire.scripts.write_trace_image`.

A request through a Service from a pod on one machine to a pod on another. The same seed and version give the same
bytes.
"""

import asyncio
from pathlib import Path
from typing import Final

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.scenario import Scenario
from podwire.scripts.trace.flights import Flight, flights
from podwire.scripts.trace.sequence import diagram
from podwire.scripts.trace.svg import render
from podwire.services.chassis.bus import pieces

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "images" / "trace.svg"
SEED: Final = 7
_ATTEMPTS: Final = 16
_SETTLE: Final = 2.0


def picture(seed: int = SEED) -> str:
    """The image."""
    cluster = SimulatedCluster(seed, 2, MANIFESTS / "static")
    try:
        scenario = Scenario(cluster, MANIFESTS, lambda _: None)
        cluster.run(scenario.boot())
        return cluster.run(_draw(cluster, scenario))
    finally:
        cluster.close()


async def _draw(cluster: SimulatedCluster, scenario: Scenario) -> str:
    await scenario.apply_workload()
    await asyncio.sleep(_SETTLE)
    pods = await cluster.api.list(resources.PODS, "default")
    pod = min(pods, key=lambda each: str(each["spec"]["nodeName"]))
    services = await cluster.api.list(resources.SERVICES, "default")
    address = next(each["spec"]["clusterIP"] for each in services if each["metadata"]["name"] == "my-api")
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    for attempt in range(_ATTEMPTS):
        call = messages.Connect(
            trace=f"image-{attempt}", namespace="default", pod=name, kind="http", address=address, port=80
        )
        outcome, found = await _follow(cluster, node, call)
        if any(hop.kind == "encapsulate" for hop in found[0].hops):
            first = [found[0], next(flight for flight in found if flight.is_reply)]
            return render(diagram(f"pod default/{name} → my-api = {address}:80", first, f"ok: {outcome.text}"))
    raise RuntimeError(f"none of {_ATTEMPTS} requests went to the other machine")


async def _follow(
    cluster: SimulatedCluster, node: str, call: messages.Connect
) -> tuple[messages.Outcome, list[Flight]]:
    payload = codec.encode(messages.MachineRequest(call=call))
    answer = await pieces.request(cluster.operator, subjects.machine(node), payload, 20)
    await asyncio.sleep(0.1)
    hops: list[Hop] = codec.decode_union(
        list[Hop], await pieces.request(cluster.operator, subjects.TRACES, call.trace.encode(), 5)
    )
    return codec.decode(messages.Outcome, answer), flights(hops)


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(picture(), encoding="utf-8")
