"""Pod as the kubelet reads it."""

import msgspec

from podwire.proto.kube.container import Container, SecurityContext
from podwire.proto.kube.meta import ObjectMeta, View
from podwire.proto.kube.volume import Volume


class DnsOption(View, frozen=True, kw_only=True):
    """A resolver option."""

    name: str = ""
    value: str | None = None


class DnsConfig(View, frozen=True, kw_only=True):
    """A pod's own resolver settings."""

    nameservers: list[str] | None = None
    searches: list[str] | None = None
    options: list[DnsOption] | None = None


class HostAlias(View, frozen=True, kw_only=True):
    """Names for an address in /etc/hosts."""

    ip: str
    hostnames: list[str] | None = None


class ReadinessGate(View, frozen=True, kw_only=True):
    """A condition that others set and that readiness needs."""

    condition_type: str


class PodSpec(View, frozen=True, kw_only=True):
    """core/v1 PodSpec, the parts that the kubelet acts on."""

    containers: list[Container] = msgspec.field(default_factory=list)
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    node_name: str = ""
    restart_policy: str = "Always"
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    dns_config: DnsConfig | None = None
    host_aliases: list[HostAlias] | None = None
    termination_grace_period_seconds: int | None = None
    service_account_name: str = ""
    active_deadline_seconds: int | None = None
    enable_service_links: bool = True
    host_pid: bool = msgspec.field(name="hostPID", default=False)
    share_process_namespace: bool = False
    set_hostname_as_fqdn: bool = msgspec.field(name="setHostnameAsFQDN", default=False)
    readiness_gates: list[ReadinessGate] | None = None
    security_context: SecurityContext | None = None

    @property
    def all_containers(self) -> list[Container]:
        """Init, main and ephemeral containers, in this order."""
        return [*(self.init_containers or ()), *self.containers, *(self.ephemeral_containers or ())]


class PodCondition(View, frozen=True, kw_only=True):
    """One condition of a pod."""

    type: str
    status: str
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""


class Terminated(View, frozen=True, kw_only=True):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = ""


class ContainerState(View, frozen=True, kw_only=True):
    """The parts of a container's state that are read again."""

    terminated: Terminated | None = None


class ContainerStatus(View, frozen=True, kw_only=True):
    """What was reported of a container."""

    name: str
    restart_count: int = 0
    container_id: str = ""
    state: ContainerState = ContainerState()


class PodIp(View, frozen=True, kw_only=True):
    """One address of a pod."""

    ip: str = ""


class PodStatus(View, frozen=True, kw_only=True):
    """core/v1 PodStatus, the parts that others read."""

    phase: str = "Pending"
    pod_ip: str = ""
    pod_ips: list[PodIp] | None = None
    host_ip: str = ""
    conditions: list[PodCondition] | None = None
    start_time: str | None = None
    reason: str = ""
    message: str = ""
    qos_class: str = "BestEffort"
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class Pod(View, frozen=True, kw_only=True):
    """core/v1 Pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """Whether its Ready condition is True."""
        return any(entry.type == "Ready" and entry.status == "True" for entry in self.status.conditions or [])
