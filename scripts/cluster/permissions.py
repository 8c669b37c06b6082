"""NATS users: one for each component and node, with the subjects of the bus contract and no others."""

from collections.abc import Callable
from typing import Final

from podwire.proto import subjects
from podwire.proto.packet.addresses import mac_of
from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.layout import OUTSIDE, SEGMENT, VISITORS, Layout, ProcessPlan, container_image
from podwire.services.chassis.bus.nats import inbox_prefix

Subjects = tuple[tuple[str, ...], tuple[str, ...]]
"""What may be published, and what may be subscribed to."""

_READ_THE_LOG: Final = (
    f"$JS.API.STREAM.INFO.{subjects.STREAM}",
    f"$JS.API.CONSUMER.CREATE.{subjects.STREAM}.>",
)


def permissions(plan: ProcessPlan, layout: Layout) -> Subjects:
    """The subjects of one process's user."""
    publish, subscribe = _api_client(plan)
    own_publish, own_subscribe = _OWN[plan.component](plan, layout)
    return (*publish, *own_publish), (*subscribe, *own_subscribe)


def _api_client(plan: ProcessPlan) -> Subjects:
    component = subjects.token(plan.component)
    publish = (subjects.api_request(plan.user), *_READ_THE_LOG)
    subscribe = (f"{inbox_prefix(plan.user)}.>", subjects.HEARTBEAT, f"process.{component}.*")
    return publish, subscribe


def _claimant(plan: ProcessPlan, layout: Layout) -> Subjects:
    image = subjects.token(str(plan.settings["image"]) if plan.component == "app" else container_image(plan.component))
    node = subjects.token(plan.node) if plan.node else "*"
    scope = subjects.token(plan.node) if plan.node else subjects.ANY_NODE
    publish = (f"container.{image}.{node}.*.call",)
    return publish, (
        f"container.{image}.{scope}.offer",
        f"container.{image}.{node}.*.signal",
        f"container.booted.{node}",
    )


def _agent(plan: ProcessPlan, layout: Layout) -> Subjects:
    publish, subscribe = _claimant(plan, layout)
    return (*publish, subjects.kernel(plan.node)), subscribe


def _machine(plan: ProcessPlan, layout: Layout) -> Subjects:
    node = subjects.token(plan.node)
    address = next(machine.address for machine in layout.machines if machine.name == plan.node)
    publish = (
        subjects.wire_segment(SEGMENT),
        f"telemetry.*.{node}",
        subjects.runtime_events(plan.node),
        f"container.*.{node}.*.signal",
        subjects.booted(plan.node),
        f"stream.{node}.*.out",
    )
    subscribe = (
        subjects.kernel(plan.node),
        subjects.runtime(plan.node),
        subjects.machine(plan.node),
        subjects.wire(SEGMENT, mac_of(address)),
        subjects.wire(SEGMENT, subjects.BROADCAST_MAC),
        subjects.node_container_calls(plan.node),
        subjects.DISCONNECTS,
        f"stream.{node}.*.in",
    )
    return publish, subscribe


def _kubelet(plan: ProcessPlan, layout: Layout) -> Subjects:
    node = subjects.token(plan.node)
    publish = (subjects.runtime(plan.node), "container.*.*.offer", f"stream.{node}.*.out")
    own = (subjects.runtime_events(plan.node), subjects.booted(plan.node))
    return publish, (subjects.kubelet(plan.node), *own, f"stream.{node}.*.in")


def _apiserver(plan: ProcessPlan, layout: Layout) -> Subjects:
    publish, subscribe = _claimant(plan, layout)
    writes = (subjects.ALL_EVENTS, subjects.FLOOR, subjects.HEARTBEAT, "$JS.API.>", "kubelet.*", "stream.*.*.in")
    return (*publish, *writes), (*subscribe, subjects.API_REQUESTS, "stream.*.*.out")


def _recorder(plan: ProcessPlan, layout: Layout) -> Subjects:
    publish, subscribe = _claimant(plan, layout)
    return publish, (*subscribe, "telemetry.>", subjects.TRACES)


def _outside(plan: ProcessPlan, layout: Layout) -> Subjects:
    heard = (
        subjects.wire(SEGMENT, mac_of(str(plan.settings["address"]).partition(",")[0])),
        subjects.wire(SEGMENT, subjects.BROADCAST_MAC),
        subjects.kernel(OUTSIDE),
        subjects.machine(OUTSIDE),
        f"stream.{OUTSIDE}.*.in",
    )
    return (subjects.wire_segment(SEGMENT), f"telemetry.*.{OUTSIDE}", f"stream.{OUTSIDE}.*.out"), heard


def _cloud_provider(plan: ProcessPlan, layout: Layout) -> Subjects:
    return (subjects.kernel(OUTSIDE),), ()


def _chaos(plan: ProcessPlan, layout: Layout) -> Subjects:
    return ("kernel.*", "runtime.*"), ()


def _ssh(plan: ProcessPlan, layout: Layout) -> Subjects:
    return ("machine.*", "stream.*.*.in"), ("stream.*.*.out",)


_OWN: Final[dict[str, Callable[[ProcessPlan, Layout], Subjects]]] = {
    "apiserver": _apiserver,
    "controllers": _claimant,
    "scheduler": _claimant,
    "recorder": _recorder,
    "node": _machine,
    "kubelet": _kubelet,
    "flannel": _agent,
    "kube-proxy": _agent,
    "coredns": _claimant,
    "app": _claimant,
    "upstream": _claimant,
    "chaos": _chaos,
    "ssh": _ssh,
    "outside": _outside,
    "cloud-provider": _cloud_provider,
}


def observer() -> Subjects:
    """MQTT clients: they hear telemetry and say nothing. `telemetry/#` takes `telemetry` too, and `$MQTT` is the
    server's own bookkeeping of their sessions."""
    return ("$MQTT.>",), ("telemetry", "telemetry.>", "$MQTT.>")


def operator(user: str) -> Subjects:
    """The person at the command line: asks machines, processes and the API; reads telemetry and the log; and may be
    a host outside of the cluster that packets come from."""
    publish = (
        subjects.api_request(user),
        *_READ_THE_LOG,
        f"$JS.API.STREAM.CREATE.{subjects.STREAM}",
        "machine.*",
        "kubelet.*",
        "process.>",
        subjects.TRACES,
        "stream.*.*.in",
        subjects.wire_segment(SEGMENT),
        f"telemetry.*.{OUTSIDE}",
    )
    addresses = [ADDRESSING[family].machine(number)[0] for family in ("ipv4", "ipv6") for number in VISITORS]
    visitors = tuple(subjects.wire(SEGMENT, mac_of(address)) for address in addresses)
    outside = (*visitors, subjects.wire(SEGMENT, subjects.BROADCAST_MAC))
    return publish, (f"{inbox_prefix(user)}.>", "telemetry.>", "stream.*.*.out", subjects.HEARTBEAT, *outside)
