"""A pod's container as the kubelet reads it: environment, ports, probes, hooks."""

import msgspec

from podwire.proto.kube.meta import View
from podwire.proto.kube.volume import FieldSelector, ResourceSelector


class KeySelector(View, frozen=True, kw_only=True):
    """A key of a ConfigMap or Secret."""

    name: str = ""
    key: str = ""
    optional: bool = False


class EnvSource(View, frozen=True, kw_only=True):
    """Where an environment variable's value comes from."""

    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(View, frozen=True, kw_only=True):
    """One environment variable."""

    name: str
    value: str = ""
    value_from: EnvSource | None = None


class ObjectSelector(View, frozen=True, kw_only=True):
    """A whole ConfigMap or Secret."""

    name: str = ""
    optional: bool = False


class EnvFromSource(View, frozen=True, kw_only=True):
    """All keys of an object as variables."""

    prefix: str = ""
    config_map_ref: ObjectSelector | None = None
    secret_ref: ObjectSelector | None = None


class ContainerPort(View, frozen=True, kw_only=True):
    """A declared port."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0
    host_ip: str = ""


class VolumeMount(View, frozen=True, kw_only=True):
    """Where a volume is seen."""

    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class HttpHeader(View, frozen=True, kw_only=True):
    """A header of a probe."""

    name: str
    value: str


class HttpGet(View, frozen=True, kw_only=True):
    """An HTTP request of a probe or hook."""

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
    """A program of a probe or hook."""

    command: list[str] | None = None


class Grpc(View, frozen=True, kw_only=True):
    """A gRPC health check."""

    port: int
    service: str = ""


class Sleep(View, frozen=True, kw_only=True):
    """A hook that waits."""

    seconds: int


class Probe(View, frozen=True, kw_only=True):
    """A liveness, readiness or startup probe; times in seconds."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class Hook(View, frozen=True, kw_only=True):
    """What is done after a container's start or before its end."""

    exec: Exec | None = None
    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    sleep: Sleep | None = None


class Lifecycle(View, frozen=True, kw_only=True):
    """The hooks of a container."""

    post_start: Hook | None = None
    pre_stop: Hook | None = None
    stop_signal: str = ""


class ResourceRequirements(View, frozen=True, kw_only=True):
    """Requests and limits as quantities."""

    requests: dict[str, str | int | float] | None = None
    limits: dict[str, str | int | float] | None = None


class SecurityContext(View, frozen=True, kw_only=True):
    """Who a container runs as, and whether it may write to its own files."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    fs_group: int | None = None


class Container(View, frozen=True, kw_only=True):
    """One container of a pod; `target_container_name` is of ephemeral ones, whose namespaces they join."""

    name: str
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    working_dir: str = ""
    env: list[EnvVar] | None = None
    env_from: list[EnvFromSource] | None = None
    ports: list[ContainerPort] | None = None
    volume_mounts: list[VolumeMount] | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    resources: ResourceRequirements = ResourceRequirements()
    restart_policy: str = ""
    security_context: SecurityContext | None = None
    image_pull_policy: str = ""
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    target_container_name: str = msgspec.field(default="")

    @property
    def is_sidecar(self) -> bool:
        """A restartable init container (KEP-753)."""
        return self.restart_policy == "Always"
