"""The Node object and its status as this kubelet reports it (pkg/kubelet/nodestatus)."""

from dataclasses import dataclass
from typing import Any

from podwire.proto.kube.times import rfc3339

Json = dict[str, Any]

CONTROL_PLANE_TAINT = "node-role.kubernetes.io/control-plane"
EXCLUDED_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
VERSION = "v1.33.0"
CAPACITY = {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the kubelet knows of its machine."""

    name: str
    addresses: tuple[str, ...]
    boot_id: str
    network_ready: bool
    network_message: str
    control_plane: bool


def new_node(facts: NodeFacts) -> Json:
    """The object with which a kubelet registers its node; a control plane's has the labels and the taint that kubeadm
    marks it with (cmd/kubeadm/app/phases/markcontrolplane)."""
    labels = {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
    }
    spec: Json = {}
    if facts.control_plane:
        labels |= {CONTROL_PLANE_TAINT: "", EXCLUDED_LABEL: ""}
        spec = {"taints": [{"key": CONTROL_PLANE_TAINT, "effect": "NoSchedule"}]}
    return {"metadata": {"name": facts.name, "labels": labels}, "spec": spec}


def node_status(facts: NodeFacts, before: list[Json], now: int) -> Json:
    """The status as a strategic merge patch; transition times are kept where a condition did not change.

    Addresses are replaced as a whole: by their merge key, the type, two of one type would be one
    (pkg/util/node, fixupPatchForNodeStatusAddresses).
    """
    ready = facts.network_ready
    message = "kubelet is posting ready status"
    if not ready:
        cause = f"NetworkReady=false reason:NetworkPluginNotReady message:{facts.network_message}"
        message = f"container runtime network not ready: {cause}"
    conditions = [
        ("MemoryPressure", False, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", ready, "KubeletReady" if ready else "KubeletNotReady", message),
    ]
    return {
        "addresses": [
            {"$patch": "replace"},
            *({"type": "InternalIP", "address": address} for address in facts.addresses),
            {"type": "Hostname", "address": facts.name},
        ],
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": [_condition(entry, before, now) for entry in conditions],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": facts.name,
            "systemUUID": facts.name,
            "bootID": facts.boot_id,
            "kernelVersion": "6.8.0-podwire",
            "osImage": "podwire (emulated)",
            "containerRuntimeVersion": "podwire://0.1.0",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    }


def is_told(status: Json, known: Json) -> bool:
    """Whether the API's status already says what a patch would, but for the time of the last heartbeat
    (pkg/kubelet/kubelet_node_status.go, nodeStatusHasChanged)."""
    if any(known.get(key) != value for key, value in status.items() if key not in ("addresses", "conditions")):
        return False
    addresses = [entry for entry in status["addresses"] if "$patch" not in entry]
    theirs = {entry.get("type"): _without_heartbeat(entry) for entry in known.get("conditions") or []}
    mine = [_without_heartbeat(entry) for entry in status["conditions"]]
    return known.get("addresses") == addresses and all(theirs.get(entry["type"]) == entry for entry in mine)


def _without_heartbeat(condition: Json) -> Json:
    return {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}


def _condition(entry: tuple[str, bool, str, str], before: list[Json], now: int) -> Json:
    kind, value, reason, message = entry
    status = "True" if value else "False"
    known = next((row for row in before if row.get("type") == kind), {})
    since = known.get("lastTransitionTime") if known.get("status") == status else None
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": since or rfc3339(now),
        "reason": reason,
        "message": message,
    }


def lease(node: str, now: int) -> Json:
    """The node's Lease, renewed."""
    microseconds = now // 1000 % 1_000_000
    renewed = rfc3339(now).replace("Z", f".{microseconds:06d}Z")
    return {
        "metadata": {"name": node, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": renewed},
    }
