"""Every NATS subject, built and parsed in one place.

A subject is dot-separated tokens. A name from outside (a namespace, an object, a node) becomes one token by
percent-escaping, so that names with dots, spaces or wildcards cannot change the subject's shape. `_` stands for the
core group and for "no namespace".
"""

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

EMPTY: Final = "_"
_SAFE: Final = "-"


class SubjectError(ValueError):
    """A subject that this contract does not know."""


def token(name: str) -> str:
    """One subject token for any name; the empty name is `_`."""
    if not name:
        return EMPTY
    if name == EMPTY:
        return "%5F"
    return quote(name, safe=_SAFE).replace(".", "%2E").replace("~", "%7E")


def untoken(text: str) -> str:
    """The name behind a token (inverse of `token`)."""
    return "" if text == EMPTY else unquote(text)


class ObjectKey(NamedTuple):
    """What names one API object: group ("" is core), resource (plural), namespace ("" for none), name."""

    group: str
    resource: str
    namespace: str
    name: str


STREAM: Final = "KUBE"
EVENTS: Final = "kube.events"
ALL_EVENTS: Final = f"{EVENTS}.>"
FLOOR: Final = "kube.floor"
HEARTBEAT: Final = "kube.heartbeat"


def object_events(key: ObjectKey) -> str:
    """`kube.events.<group>.<resource>.<namespace>.<name>`: every change of one object."""
    return f"{EVENTS}.{token(key.group)}.{token(key.resource)}.{token(key.namespace)}.{token(key.name)}"


def resource_events(group: str, resource: str, namespace: str = "") -> str:
    """The filter for one resource, in one namespace or in all."""
    scope = token(namespace) if namespace else "*"
    return f"{EVENTS}.{token(group)}.{token(resource)}.{scope}.*"


def parse_object_events(subject: str) -> ObjectKey:
    """The object's key; raises SubjectError for any other subject."""
    parts = subject.split(".")
    if len(parts) != 6 or f"{parts[0]}.{parts[1]}" != EVENTS:
        raise SubjectError(f"not an object's event subject: {subject!r}")
    return ObjectKey(untoken(parts[2]), untoken(parts[3]), untoken(parts[4]), untoken(parts[5]))


def api_request(user: str) -> str:
    """`kube.request.<user>`: the bus lets only that user publish here, so that the subject names the requester."""
    return f"kube.request.{token(user)}"


API_REQUESTS: Final = "kube.request.*"


def parse_api_request(subject: str) -> str:
    """The requesting user; raises SubjectError for any other subject."""
    parts = subject.split(".")
    if len(parts) != 3 or parts[:2] != ["kube", "request"]:
        raise SubjectError(f"not an API request subject: {subject!r}")
    return untoken(parts[2])


@lru_cache(4096)
def wire(segment: str, mac: str) -> str:
    """`wire.<segment>.<mac>`: frames for one NIC; the MAC is 12 hexadecimal digits."""
    return f"wire.{token(segment)}.{mac.replace(':', '').lower()}"


def wire_segment(segment: str) -> str:
    """All frames of a segment, for a NIC in promiscuous mode."""
    return f"wire.{token(segment)}.*"


BROADCAST_MAC: Final = "ffffffffffff"


def kernel(node: str) -> str:
    """`kernel.<node>`: programming of a machine's kernel."""
    return f"kernel.{token(node)}"


def cni(node: str) -> str:
    """`cni.<node>`: a plugin's calls to its agent."""
    return f"cni.{token(node)}"


def runtime(node: str) -> str:
    """`runtime.<node>`: the kubelet's calls to the container runtime (CRI's verbs)."""
    return f"runtime.{token(node)}"


def runtime_events(node: str) -> str:
    """`runtime.<node>.events`: container state changes, as CRI's GetContainerEvents streams them."""
    return f"runtime.{token(node)}.events"


def kubelet(node: str) -> str:
    """`kubelet.<node>`: what the API server asks a kubelet for (exec, attach, logs)."""
    return f"kubelet.{token(node)}"


def machine(node: str) -> str:
    """`machine.<node>`: what an operator asks of a machine (a shell on it, a traced connection)."""
    return f"machine.{token(node)}"


def stream_input(node: str, session: str) -> str:
    """`stream.<node>.<session>.in`: frames towards the program of one exec session."""
    return f"stream.{token(node)}.{token(session)}.in"


def stream_output(node: str, session: str) -> str:
    """`stream.<node>.<session>.out`: frames from the program of one exec session."""
    return f"stream.{token(node)}.{token(session)}.out"


def booted(node: str) -> str:
    """`container.booted.<node>`: a machine that has booted tells whoever serves a container of an earlier boot."""
    return f"container.booted.{token(node)}"


ANY_NODE: Final = "any"


def container_offer(image: str, node: str) -> str:
    """`container.<image>.<node or any>.offer`: the queue-group request by which a kubelet offers a container."""
    return f"container.{token(image)}.{token(node)}.offer"


def container_calls(image: str, node: str, container: str) -> str:
    """`container.<image>.<node>.<container>.call`: the claimed process asks its machine (sockets, files, exit)."""
    return f"container.{token(image)}.{token(node)}.{token(container)}.call"


def container_signals(image: str, node: str, container: str) -> str:
    """`container.<image>.<node>.<container>.signal`: the machine tells the claimed process (data, exec, stop)."""
    return f"container.{token(image)}.{token(node)}.{token(container)}.signal"


def node_container_calls(node: str) -> str:
    """All calls of claimed processes to one machine."""
    return f"container.*.{token(node)}.*.call"


class ContainerAddress(NamedTuple):
    """Image, node and container id of a claimed container's subjects."""

    image: str
    node: str
    container: str


def parse_container(subject: str) -> ContainerAddress:
    """Image, node and container of a call or signal subject; raises SubjectError for any other."""
    parts = subject.split(".")
    if len(parts) != 5 or parts[0] != "container" or parts[4] not in ("call", "signal"):
        raise SubjectError(f"not a claimed container's subject: {subject!r}")
    return ContainerAddress(untoken(parts[1]), untoken(parts[2]), untoken(parts[3]))


def telemetry(kind: str, node: str) -> str:
    """`telemetry.<kind>.<node>`: hops of traced packets, drops, flows, counters."""
    return f"telemetry.{token(kind)}.{token(node)}"


def telemetry_kind(kind: str) -> str:
    """One kind of telemetry from every node."""
    return f"telemetry.{token(kind)}.*"


TRACES: Final = "telemetry.query"
"""Where the recorder is asked for the hops of a trace."""


def process(component: str, instance: str) -> str:
    """`process.<component>.<instance>`: health and faults of one process."""
    return f"process.{token(component)}.{token(instance)}"


DISCONNECTS: Final = "process.disconnected"
"""Where the system account's disconnect events of our account are imported to."""


def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription pattern (`*` one token, `>` the rest) takes a subject (NATS subject-based messaging)."""
    wanted, given = pattern.split("."), subject.split(".")
    for position, part in enumerate(wanted):
        if part == ">":
            return len(given) > position
        if position >= len(given) or part not in ("*", given[position]):
            return False
    return len(wanted) == len(given)
