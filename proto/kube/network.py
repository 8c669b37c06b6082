"""Service, EndpointSlice and Node as network components read them."""

from collections.abc import Iterable

from podwire.proto.kube.meta import ObjectMeta, View


class ServicePort(View, frozen=True, kw_only=True):
    """One port of a Service."""

    name: str = ""
    protocol: str = "TCP"
    port: int
    target_port: int | str | None = None
    node_port: int = 0


class ClientIPConfig(View, frozen=True, kw_only=True):
    """How long a client stays with its endpoint, in seconds."""

    timeout_seconds: int = 10800


class SessionAffinityConfig(View, frozen=True, kw_only=True):
    """core/v1 SessionAffinityConfig."""

    client_ip: ClientIPConfig = ClientIPConfig()


class ServiceSpec(View, frozen=True, kw_only=True):
    """core/v1 ServiceSpec."""

    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: list[ServicePort] | None = None
    cluster_ip: str = ""
    cluster_ips: list[str] | None = None
    external_ips: list[str] | None = None
    external_name: str = ""
    ip_families: list[str] | None = None
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    load_balancer_source_ranges: list[str] | None = None
    health_check_node_port: int = 0
    external_traffic_policy: str = ""
    internal_traffic_policy: str = "Cluster"
    publish_not_ready_addresses: bool = False
    load_balancer_class: str = ""
    load_balancer_ip: str = ""


class LoadBalancerIngress(View, frozen=True, kw_only=True):
    """One address of a load balancer. `ip_mode` Proxy: what arrives there does not keep that destination (KEP-1860)."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str = "VIP"


class LoadBalancerStatus(View, frozen=True, kw_only=True):
    """Where a load balancer is reached."""

    ingress: list[LoadBalancerIngress] | None = None


class ServiceStatus(View, frozen=True, kw_only=True):
    """core/v1 ServiceStatus."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(View, frozen=True, kw_only=True):
    """core/v1 Service."""

    metadata: ObjectMeta
    spec: ServiceSpec
    status: ServiceStatus = ServiceStatus()


class ObjectReference(View, frozen=True, kw_only=True):
    """What an endpoint stands for."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(View, frozen=True, kw_only=True):
    """Unset means ready (discovery/v1)."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it gets traffic."""
        return self.ready is not False


class ForZone(View, frozen=True, kw_only=True):
    """A zone that an endpoint is meant for."""

    name: str


class EndpointHints(View, frozen=True, kw_only=True):
    """discovery.k8s.io/v1 EndpointHints."""

    for_zones: list[ForZone] | None = None


class Endpoint(View, frozen=True, kw_only=True):
    """One backend of an EndpointSlice."""

    addresses: list[str]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(View, frozen=True, kw_only=True):
    """One port of an EndpointSlice."""

    name: str = ""
    protocol: str = "TCP"
    port: int | None = None


class EndpointSlice(View, frozen=True, kw_only=True):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: ObjectMeta
    address_type: str = "IPv4"
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None

    @property
    def service(self) -> str:
        """The name of the Service that it belongs to ("" for none)."""
        return (self.metadata.labels or {}).get(SERVICE_NAME_LABEL, "")

    @property
    def ready_endpoints(self) -> list[Endpoint]:
        """Those that get traffic."""
        return [entry for entry in self.endpoints or [] if entry.conditions.is_ready]


SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def nodes_with_endpoints(slices: Iterable[EndpointSlice]) -> dict[tuple[str, str], dict[str, None]]:
    """The nodes that have ready endpoints, by the Service's namespace and name."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for entry in slices:
        names = found.setdefault((entry.metadata.namespace, entry.service), {})
        names.update((endpoint.node_name, None) for endpoint in entry.ready_endpoints)
    return found


class Taint(View, frozen=True, kw_only=True):
    """A node's taint."""

    key: str
    value: str = ""
    effect: str = ""


class NodeSpec(View, frozen=True, kw_only=True):
    """core/v1 NodeSpec."""

    pod_cidr: str = ""
    pod_cidrs: list[str] | None = None
    taints: list[Taint] | None = None
    unschedulable: bool = False


class NodeAddress(View, frozen=True, kw_only=True):
    """One address of a node."""

    type: str
    address: str


class NodeCondition(View, frozen=True, kw_only=True):
    """One condition of a node."""

    type: str
    status: str


class NodeStatus(View, frozen=True, kw_only=True):
    """core/v1 NodeStatus, the parts that matter to the network."""

    addresses: list[NodeAddress] | None = None
    conditions: list[NodeCondition] | None = None


class Node(View, frozen=True, kw_only=True):
    """core/v1 Node."""

    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def is_ready(self) -> bool:
        """Whether its Ready condition is True."""
        return any(entry.type == "Ready" and entry.status == "True" for entry in self.status.conditions or [])

    @property
    def internal_ips(self) -> list[str]:
        """The node's InternalIPs, the primary family's first; none while they are unknown."""
        return [entry.address for entry in self.status.addresses or [] if entry.type == "InternalIP"]

    @property
    def internal_ip(self) -> str:
        """The node's primary InternalIP ("" while it is unknown)."""
        return next(iter(self.internal_ips), "")
