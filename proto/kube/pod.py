"""Pod as the kubelet reads it."""

import msgspec

from podwire.proto.kube.meta import ObjectMeta, View


class KeySelector(View, frozen=True, kw_only=True):
    """A key of a ConfigMap or Secret."""

    name: str = ""
    key: str = ""
    optional: bool = False


class FieldSelector(View, frozen=True, kw_only=True):
    """A field of the pod itself."""

    field_path: str


class EnvSource(View, frozen=True, kw_only=True):
    """Where an environment variable's value comes from."""

    field_ref: FieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(View, frozen=True, kw_only=True):
    """One environment variable."""

    name: str
    value: str = ""
    value_from: EnvSource | None = None


class ContainerPort(View, frozen=True, kw_only=True):
    """A declared port."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0


class VolumeMount(View, frozen=True, kw_only=True):
    """Where a volume is seen."""

    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class HttpHeader(View, frozen=True, kw_only=True):
    """A header of a probe."""

    name: str
    value: str


class HttpGet(View, frozen=True, kw_only=True):
    """An HTTP probe."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: list[HttpHeader] | None = None


class TcpSocket(View, frozen=True, kw_only=True):
    """A TCP probe."""

    port: int | str
    host: str = ""


class Exec(View, frozen=True, kw_only=True):
    """An exec probe."""

    command: list[str] | None = None


class Probe(View, frozen=True, kw_only=True):
    """A liveness, readiness or startup probe; times in seconds."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(View, frozen=True, kw_only=True):
    """One container of a pod."""

    name: str
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    working_dir: str = ""
    env: list[EnvVar] | None = None
    ports: list[ContainerPort] | None = None
    volume_mounts: list[VolumeMount] | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class KeyToPath(View, frozen=True, kw_only=True):
    """A key and the file that it becomes."""

    key: str
    path: str


class ConfigMapVolume(View, frozen=True, kw_only=True):
    """A ConfigMap as files."""

    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False


class SecretVolume(View, frozen=True, kw_only=True):
    """A Secret as files."""

    secret_name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False


class HostPathVolume(View, frozen=True, kw_only=True):
    """A folder of the machine."""

    path: str
    type: str = ""


class EmptyDirVolume(View, frozen=True, kw_only=True):
    """A folder that lives as long as the pod."""

    medium: str = ""


class Volume(View, frozen=True, kw_only=True):
    """A volume; at most one source is set."""

    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    host_path: HostPathVolume | None = None
    empty_dir: EmptyDirVolume | None = None


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


class PodSpec(View, frozen=True, kw_only=True):
    """core/v1 PodSpec, the parts that the kubelet acts on."""

    containers: list[Container] = msgspec.field(default_factory=list)
    init_containers: list[Container] | None = None
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


class PodCondition(View, frozen=True, kw_only=True):
    """One condition of a pod."""

    type: str
    status: str
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""


class ContainerStatus(View, frozen=True, kw_only=True):
    """What was reported of a container."""

    name: str
    restart_count: int = 0
    container_id: str = ""


class PodStatus(View, frozen=True, kw_only=True):
    """core/v1 PodStatus, the parts that others read."""

    phase: str = "Pending"
    pod_ip: str = ""
    host_ip: str = ""
    conditions: list[PodCondition] | None = None
    start_time: str | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(View, frozen=True, kw_only=True):
    """core/v1 Pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """Whether its Ready condition is True."""
        return any(entry.type == "Ready" and entry.status == "True" for entry in self.status.conditions or [])
