"""The kubelet's calls to its machine's container runtime, with the verbs of CRI (k8s.io/cri-api, runtime/v1).

Every call carries the boot id that the kubelet believes in; a machine that has booted since refuses it. An error names
what was wrong, with CRI's gRPC code names.
"""

from typing import Final, Literal

import msgspec

SCHEMA: Final = 1


class Dns(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into a pod's resolv.conf."""

    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    uses_host: bool = False
    """The machine's own resolver settings come first (dnsPolicy Default)."""


class PortMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A port of the machine that leads into the pod; `host_address` "" means every address."""

    protocol: str
    container_port: int
    host_port: int
    host_address: str = ""


class HostAlias(msgspec.Struct, frozen=True, kw_only=True):
    """A line of /etc/hosts; an address may have several."""

    address: str
    names: list[str]


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's sandbox: its network namespace and names."""

    uid: str
    namespace: str
    name: str
    attempt: int = 0
    hostname: str = ""
    domain: str = ""
    """The pod's own domain: `subdomain.namespace.svc.cluster.local`, or "" without a subdomain."""
    host_network: bool = False
    host_pid: bool = False
    shares_processes: bool = False
    """One process namespace for all containers: none of them is process 1."""
    dns: Dns = Dns()
    host_aliases: list[HostAlias] = []
    port_mappings: list[PortMapping] = []


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or file of the machine that a container sees under another path."""

    host_path: str
    container_path: str
    read_only: bool = False


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A container; `claimed` ones are served by a process of their own, found by an offer."""

    name: str
    attempt: int = 0
    image: str
    command: list[str] = []
    arguments: list[str] = []
    environment: dict[str, str] = {}
    working_folder: str = ""
    mounts: list[Mount] = []
    ports: list[tuple[str, int]] = []
    """Declared container ports as (protocol, port)."""
    claimed: str = ""
    """The component that claims it ("" for images that the machine runs by itself)."""
    stdin: bool = False
    stdin_once: bool = False
    """Standard input ends with the first attach that had it."""
    tty: bool = False
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    stop_signal: str = ""
    """What StopContainer sends ("" for the image's own signal, SIGTERM)."""
    user: int = 0
    group: int = 0
    read_only_root: bool = False
    target: str = ""
    """The container (by id) whose processes an ephemeral one sees."""


class VolumeFile(msgspec.Struct, frozen=True, array_like=True):
    """A file's bytes and permission bits."""

    data: bytes
    mode: int = 0o644


SandboxState = Literal["READY", "NOTREADY"]
ContainerState = Literal["CREATED", "RUNNING", "EXITED"]


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox's status; `address` is its primary IP ("" while it has none), others are additional (as in CRI)."""

    id: str
    config: SandboxConfig
    state: SandboxState
    created_at: int
    address: str = ""
    additional_addresses: list[str] = msgspec.field(default_factory=list)
    network: str = ""
    """Its network namespace on the machine ("" for the machine's own), as CRI's verbose information has it."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them, the primary one first."""
        return (self.address, *self.additional_addresses) if self.address else ()


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container's status; times in nanoseconds since the epoch, 0 for not yet."""

    id: str
    sandbox: str
    config: ContainerConfig
    state: ContainerState
    created_at: int
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    claimant: str = ""
    """The instance of the process that serves a claimed container."""


class RunPodSandbox(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Makes the network namespace and runs the CNI plugin that the node's conflist names. Answer: Sandbox."""

    config: SandboxConfig


class StopPodSandbox(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stops its containers and tears the network down (CNI DEL). Idempotent."""

    sandbox: str


class RemovePodSandbox(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Forgets a sandbox and its containers. Idempotent."""

    sandbox: str


class CreateContainer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer: Container, in state CREATED."""

    sandbox: str
    config: ContainerConfig


class StartContainer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Starts it; a claimed one is handed to the process `claimant`."""

    container: str
    claimant: str = ""


class StopContainer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """SIGTERM, then SIGKILL after `grace` seconds. Returns at once; an event tells of the end. Idempotent."""

    container: str
    grace: float = 0.0


class ShiftClock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The wall clock of the programs that run in a container (not of those executed later) is `offset` ns off; 0 sets
    it right. Idempotent."""

    container: str
    offset: int


class RemoveContainer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Forgets a container, killing it if need be. Idempotent."""

    container: str


class ListAll(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer: Inventory."""


class ReadLog(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Lines of a container's log from line `start` on. Where there are none yet, the answer waits up to `wait` seconds
    for one, or for the container's end. Answer: LogLines."""

    container: str
    start: int = 0
    wait: float = 0.0


class StartExec(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Runs a program in a container; its streams go over `stream.<node>.<session>`. Answer: Done."""

    container: str
    session: str
    command: list[str]
    stdin: bool = False
    tty: bool = False
    attach: bool = False


class StartPortForward(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Connects to a port on the sandbox's loopback; the bytes go over `stream.<node>.<session>`. Answer: Done."""

    sandbox: str
    session: str
    port: int


class ExecSync(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Runs a program to its end (probes, hooks). Answer: ExecResult."""

    container: str
    command: list[str]
    timeout: float


class WriteVolume(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Sets a volume that the kubelet fills, at one moment for all files: they are links into `..data`, which is a link
    to a folder of this writing (pkg/volume/util/atomic_writer.go). The same files again change nothing."""

    folder: str
    files: dict[str, VolumeFile]


class CopyFiles(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Sets plain files below `folder` (of a subPath mount), and removes everything else; the name "" is `folder`."""

    folder: str
    files: dict[str, VolumeFile]


class PrepareFolder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Makes a folder of the machine, or checks what a hostPath's type (`kind`) wants of it (pkg/volume/hostpath)."""

    folder: str
    kind: str = "DirectoryOrCreate"


class RemoveFiles(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Removes a folder of the machine."""

    folder: str


class NetworkStatus(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Whether pods can be given a network. Answer: NetworkCondition."""


class ProbePod(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A probe from the node's own network; gRPC ones ask for a service's health. Answer: ProbeResult."""

    kind: Literal["http", "https", "tcp", "grpc"]
    address: str
    port: int
    path: str = "/"
    host: str = ""
    headers: list[tuple[str, str]] = []
    service: str = ""
    timeout: float = 1.0


Call = (
    RunPodSandbox
    | StopPodSandbox
    | RemovePodSandbox
    | CreateContainer
    | StartContainer
    | StopContainer
    | ShiftClock
    | RemoveContainer
    | ListAll
    | ReadLog
    | StartExec
    | StartPortForward
    | ExecSync
    | WriteVolume
    | CopyFiles
    | PrepareFolder
    | RemoveFiles
    | NetworkStatus
    | ProbePod
)


class RuntimeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call; `boot_id` "" is for a kubelet that does not know the machine yet (it may only list)."""

    schema: int = SCHEMA
    boot_id: str
    call: Call


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The call had its effect."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It had none. `code` is a gRPC status name: NotFound, FailedPrecondition, Unavailable, InvalidArgument, …"""

    code: str
    message: str


class SandboxAnswer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sandbox."""

    sandbox: Sandbox


class ContainerAnswer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A container; `stand_in` says what runs in the place of an image that nobody knows."""

    container: Container
    stand_in: str = ""


class Inventory(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything that the runtime holds, and the machine's own addresses, the primary one first."""

    sandboxes: list[Sandbox]
    containers: list[Container]
    addresses: list[str]


class LogLine(msgspec.Struct, frozen=True, array_like=True):
    """One line as the CRI log format has it."""

    time: int
    stream: str
    text: str


class LogLines(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Lines from `start` on; `more` when there are others already; `ended` when the container has exited and nothing
    follows."""

    start: int
    lines: list[LogLine]
    ended: bool
    more: bool = False


class ExecResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A program's end."""

    code: int
    stdout: bytes
    stderr: bytes


class NetworkCondition(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """CRI's NetworkReady condition."""

    ready: bool
    message: str = ""


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Whether a probe succeeded, and what it saw."""

    success: bool
    output: str


Result = (
    Done | Failed | SandboxAnswer | ContainerAnswer | Inventory | LogLines | ExecResult | NetworkCondition | ProbeResult
)


class RuntimeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and the boot id of the machine that gave it."""

    schema: int = SCHEMA
    boot_id: str
    result: Result


class ContainerChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a sandbox's containers changed (evented PLEG, KEP-3386); the kubelet lists again."""

    schema: int = SCHEMA
    boot_id: str
    sandbox: str
    container: str
    state: str
