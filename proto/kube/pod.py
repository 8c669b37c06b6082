"""Pod as the kubelet reads it."""

from podwire.proto.kube.meta import ObjectMeta, View


class KeySelector(View):
    """A key of a ConfigMap or Secret."""

    name: str = ""
    key: str = ""
    optional: bool = False


class FieldSelector(View):
    """A field of the pod itself."""

    field_path: str


class EnvSource(View):
    """Where an environment variable's value comes from."""

    field_ref: FieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(View):
    """One environment variable."""

    name: str
    value: str = ""
    value_from: EnvSource | None = None


class ContainerPort(View):
    """A declared port."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0


class VolumeMount(View):
    """Where a volume is seen."""

    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class HttpHeader(View):
    """A header of a probe."""

    name: str
    value: str


class HttpGet(View):
    """An HTTP probe."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: list[HttpHeader] | None = None


class TcpSocket(View):
    """A TCP probe."""

    port: int | str
    host: str = ""


class Exec(View):
    """An exec probe."""

    command: list[str] | None = None


class Probe(View):
    """A liveness, readiness or startup probe; times in seconds."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(View):
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
    tty: bool = False


class KeyToPath(View):
    """A key and the file that it becomes."""

    key: str
    path: str


class ConfigMapVolume(View):
    """A ConfigMap as files."""

    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False


class SecretVolume(View):
    """A Secret as files."""

    secret_name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False


class HostPathVolume(View):
    """A folder of the machine."""

    path: str
    type: str = ""


class EmptyDirVolume(View):
    """A folder that lives as long as the pod."""

    medium: str = ""


class Volume(View):
    """A volume; at most one source is set."""

    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    host_path: HostPathVolume | None = None
    empty_dir: EmptyDirVolume | None = None


class DnsOption(View):
    """A resolver option."""

    name: str = ""
    value: str | None = None


class DnsConfig(View):
    """A pod's own resolver settings."""

    nameservers: list[str] | None = None
    searches: list[str] | None = None
    options: list[DnsOption] | None = None


class HostAlias(View):
    """Names for an address in /etc/hosts."""

    ip: str
    hostnames: list[str] | None = None


class PodSpec(View):
    """core/v1 PodSpec, the parts that the kubelet acts on."""

    containers: list[Container] = []
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


class PodCondition(View):
    """One condition of a pod."""

    type: str
    status: str
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""


class PodIp(View):
    """One address of a pod."""

    ip: str = ""


class PodStatus(View):
    """core/v1 PodStatus, the parts that others read."""

    phase: str = "Pending"
    pod_ip: str = ""
    host_ip: str = ""
    conditions: list[PodCondition] | None = None
    start_time: str | None = None


class Pod(View):
    """core/v1 Pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """Whether its Ready condition is True."""
        return any(entry.type == "Ready" and entry.status == "True" for entry in self.status.conditions or [])
