"""What each component's absence breaks: the expectation, and the judgement of what was seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .load import Stream

SAME_NODE = "pod to pod, same node"
OTHER_NODE = "pod to pod, other node"
CLUSTER_IP = "pod to cluster IP"
NAMES = "names in pods"
NODE_PORT = "outside to node port"
BALANCER = "outside to load balancer"
READS = "reading the API"
WRITES = "writing the API"
NEW_PODS = "new pods on node-1"
PLACING = "placing new pods"
NEW_SERVICES = "new Services from node-1"
NEW_BALANCERS = "new load balancers"
EXEC = "kubectl exec on node-1"
TRACES = "recorded traces"
FAULTS = "new NetworkChaos objects"
SSH = "ssh to machines"
EVERYTHING: Final = (
    *(SAME_NODE, OTHER_NODE, CLUSTER_IP, NAMES, NODE_PORT, BALANCER),
    *(READS, WRITES, NEW_PODS, PLACING, NEW_SERVICES, NEW_BALANCERS, EXEC, FAULTS, TRACES, SSH),
)
THE_API: Final = (READS, WRITES, NEW_PODS, PLACING, NEW_SERVICES, NEW_BALANCERS, EXEC, FAULTS)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is away for `seconds`, what that breaks for as long as it lasts, and what it may break."""

    absent: str
    breaks: tuple[str, ...]
    why: str
    may_break: tuple[str, ...] = ()
    seconds: float = 8.0

    @property
    def keeps(self) -> tuple[str, ...]:
        """What must go on as if nothing had happened."""
        return tuple(name for name in EVERYTHING if name not in (*self.breaks, *self.may_break))


EFFECTS: Final = (
    Effect("apiserver", THE_API, "Nothing can change or be read; what is programmed stays programmed."),
    Effect(
        "nats",
        tuple(name for name in EVERYTHING if name != SSH),
        "The bus is the Ethernet between machines, and the only way to ask anybody. No acknowledged write is lost.",
        (SSH,),
    ),
    Effect("controllers", (NEW_SERVICES,), "No EndpointSlice is written; existing ones stay."),
    Effect("scheduler", (PLACING,), "Pods without a node stay Pending; those that name one start."),
    Effect(
        "kubelet@node-1",
        (NEW_PODS, EXEC),
        "Pods and rules live on; nothing on the node starts, stops or reports. After 40 s the node is NotReady.",
    ),
    Effect(
        "kube-proxy@node-1",
        (NEW_SERVICES,),
        "The node's rules stay, and go stale; other nodes learn of new Services.",
    ),
    Effect(
        "flannel@node-1",
        (),
        "Running and new pods go on: the plugin reads /run/flannel/subnet.env. Nodes that join are not learned.",
    ),
    Effect("coredns", (NAMES,), "Names time out; addresses work."),
    Effect("cloud-provider", (NEW_BALANCERS,), "New load balancers get no address; existing ones go on."),
    Effect("chaos", (FAULTS,), "What is injected stays; no experiment begins or heals."),
    Effect("recorder", (TRACES,), "Traces are told, and nobody keeps them."),
    Effect("ssh", (SSH,), "The machines cannot be reached by SSH; podwire ssh goes over the bus."),
    Effect(
        "external",
        (NODE_PORT, BALANCER, NEW_BALANCERS),
        "The host outside, which is the way to load balancers, has no power.",
    ),
    Effect(
        "node-3",
        (OTHER_NODE, CLUSTER_IP, NODE_PORT, BALANCER),
        "Its pods are gone. Until it is NotReady (40 s) one in three new connections goes to one of them; then its "
        "endpoints leave.",
        (NAMES, NEW_SERVICES),
        seconds=55.0,
    ),
    Effect(
        "control-plane",
        (*THE_API, TRACES),
        "All that runs on it is away; the workers' traffic goes on.",
        (NAMES,),
    ),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One stream while something was away: how long it did not work after that began (0.0: it worked), whether it
    worked again before that ended, how long it took from the end, what went wrong first, and how often."""

    name: str
    broken: float
    recovered_alone: bool
    recovered_after: float
    wrong: str = ""
    failures: int = 0


def see(stream: Stream, away: float, back: float) -> Seen:
    """Judges a stream's samples: something was away from one moment to another (time.monotonic)."""
    during = [sample for sample in stream.samples if sample.ended > away]
    bad = [sample for sample in during if sample.wrong]
    if not bad:
        return Seen(stream.name, 0.0, False, 0.0)
    last = max(sample.ended for sample in bad)
    good = [sample.ended for sample in during if not sample.wrong and sample.ended >= last]
    first = min(good, default=last)
    return Seen(stream.name, first - away, first < back, max(0.0, first - back), bad[0].wrong, len(bad))


def noticed(effect: Effect, entry: Seen) -> bool:
    """Whether a stream did not work: one late answer to what must go on is a busy machine's, not an outage."""
    return entry.failures > (1 if entry.name in effect.keeps else 0)


def surprises(effect: Effect, seen: Iterable[Seen]) -> list[str]:
    """What went otherwise than expected, one line each."""
    found = []
    for entry in seen:
        if noticed(effect, entry) and entry.name in effect.keeps:
            found.append(f"{entry.name}: did not work for {entry.broken:.1f} s: {entry.wrong}")
        if not entry.broken and entry.name in effect.breaks:
            found.append(f"{entry.name}: went on as if nothing had happened")
    return found
