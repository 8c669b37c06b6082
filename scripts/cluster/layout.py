"""Which processes a cluster is made of, on which machines, with which addresses and users: a plan, nothing started."""

from dataclasses import dataclass, field
from typing import Any, Final

from podwire.scripts.cluster.addressing import ADDRESSING, Addressing

CONTROL_PLANE: Final = "control-plane"
MACHINE: Final = "node"
"""The component that a machine of the cluster is."""
SEGMENT: Final = "nodes"
OUTSIDE: Final = "external"
"""What hosts on the segment are called that are none of the cluster's machines."""
VISITORS: Final = tuple(range(0xFF01, 0xFF41))
"""The numbers, on the segment, of hosts outside that come and go with a command: 172.18.255.1 to .64."""
MOST_NODES: Final = 200
OPERATOR: Final = "system:operator"
OBSERVER: Final = "observer"


class LayoutError(ValueError):
    """A cluster that cannot be laid out; names the option, its value and what would be right."""


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process to keep running. `spare` components keep one idle process waiting beside those that have work."""

    component: str
    node: str
    user: str
    settings: dict[str, Any] = field(default_factory=dict)
    spare: bool = False

    @property
    def place(self) -> str:
        """`component@node`, or the component alone; a user's application by its own name."""
        if self.component == "app":
            return f"app-{self.settings['image']}"
        return f"{self.component}@{self.node}" if self.node else self.component


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's name and its NIC's addresses, the primary family's first."""

    name: str
    addresses: tuple[str, ...]

    @property
    def address(self) -> str:
        """The primary family's."""
        return self.addresses[0]


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster's machines and processes, in the order in which they are started."""

    machines: tuple[Machine, ...]
    processes: tuple[ProcessPlan, ...]


def machines(workers: int, addressing: Addressing) -> tuple[Machine, ...]:
    """The control plane and node-1 to node-N, whose addresses follow the gateway's. Raises LayoutError."""
    if not 1 <= workers <= MOST_NODES:
        raise LayoutError(f"--nodes {workers}: a number from 1 to {MOST_NODES} is needed")
    names = [CONTROL_PLANE, *(f"node-{number}" for number in range(1, workers + 1))]
    return tuple(Machine(name, addressing.machine(number)) for number, name in enumerate(names, 2))


@dataclass(frozen=True, slots=True)
class App:
    """A user's application: the image's name, `module:attribute`, and the folder of its modules."""

    name: str
    application: str
    folder: str


def layout(
    workers: int,
    static_pods: str,
    api: dict[str, Any],
    controllers: dict[str, Any],
    apps: tuple[App, ...] | None = None,
    ssh: dict[str, Any] | None = None,
    addressing: Addressing = ADDRESSING["ipv4"],
    outside: dict[str, Any] | None = None,
) -> Layout:
    """The whole plan; `api`, `controllers`, `ssh` and `outside` hold these components' settings. Without `apps` and
    `ssh` (in simulations) there are no processes that use the real network."""
    made = machines(workers, addressing)
    api = {**api, "service_cluster_ip_range": addressing.services}
    controllers = {**controllers, "cluster_cidr": addressing.pods}
    balancers = {"gateway_machine": OUTSIDE, "pool": addressing.balancers}
    processes = [_control_plane("apiserver", "system:apiserver", api)]
    processes += [_machine(machine, addressing) for machine in made]
    processes += [
        _control_plane("controllers", "system:kube-controllers", controllers),
        _control_plane("scheduler", "system:kube-scheduler"),
        ProcessPlan("cloud-provider", CONTROL_PLANE, "system:cloud-provider", balancers),
        _control_plane("recorder", "system:recorder"),
        ProcessPlan("chaos", CONTROL_PLANE, "system:chaos-controller-manager"),
    ]
    for machine in made:
        processes += _agents(machine.name, static_pods, apps or (), addressing.dns)
    surroundings = {"address": ",".join(addressing.outside), "segment": SEGMENT, **(outside or {})}
    processes.append(ProcessPlan("outside", OUTSIDE, "system:outside", surroundings))
    processes.append(ProcessPlan("coredns", "", "system:coredns", spare=True))
    if apps is not None:
        processes.append(ProcessPlan("upstream", "", "system:upstream", spare=True))
        processes += [_app(app) for app in apps]
    if ssh is not None:
        processes.append(ProcessPlan("ssh", "", "system:ssh", ssh))
    return Layout(made, tuple(processes))


def _control_plane(component: str, user: str, settings: dict[str, Any] | None = None) -> ProcessPlan:
    return ProcessPlan(component, CONTROL_PLANE, user, {**(settings or {}), "mirror_image": IMAGES[component]})


def _machine(machine: Machine, addressing: Addressing) -> ProcessPlan:
    settings = {
        "address": ",".join(machine.addresses),
        "gateway": ",".join(addressing.gateways),
        "segment": SEGMENT,
    }
    return ProcessPlan(MACHINE, machine.name, f"machine:{machine.name}", settings)


def _app(app: App) -> ProcessPlan:
    settings = {"image": app.name, "application": app.application, "folder": app.folder}
    return ProcessPlan("app", "", f"system:app:{app.name}", settings, spare=True)


def _agents(node: str, static_pods: str, apps: tuple[App, ...], dns: str) -> list[ProcessPlan]:
    is_control_plane = node == CONTROL_PLANE
    kubelet = {
        "control_plane": is_control_plane,
        "cluster_dns": dns,
        "static_pods": static_pods if is_control_plane else "",
        "claimed_names": ",".join(["upstream", *(app.name for app in apps)]),
    }
    return [
        ProcessPlan("kubelet", node, f"system:node:{node}", kubelet),
        ProcessPlan("flannel", node, f"system:flannel:{node}"),
        ProcessPlan("kube-proxy", node, f"system:kube-proxy:{node}"),
    ]


IMAGES: Final = {
    "apiserver": "kube-apiserver",
    "controllers": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "recorder": "recorder",
}
"""The images of the control plane's mirror pods, by component."""


def container_image(component: str) -> str:
    """The image name under which a component's containers are offered."""
    return IMAGES.get(component, component)
