"""How Nodes, Namespaces, Events, Leases, ConfigMaps, Secrets, ServiceAccounts and RBAC objects print."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns
from podwire.services.apiserver.core.times import age

_ROLE_LABEL: Final = "node-role.kubernetes.io/"


def _name(value: Json) -> str:
    return str(section(value, "metadata").get("name", ""))


def _age(value: Json, now_ns: int) -> str:
    return age(section(value, "metadata").get("creationTimestamp"), now_ns)


def _node_status(node: Json) -> str:
    conditions = {entry.get("type"): entry.get("status") for entry in items(section(node, "status"), "conditions")}
    ready = conditions.get("Ready")
    shown = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return shown + (",SchedulingDisabled" if section(node, "spec").get("unschedulable") else "")


def _node_roles(node: Json) -> str:
    labels = section(node, "metadata", "labels")
    roles = [key.removeprefix(_ROLE_LABEL) for key in labels if key.startswith(_ROLE_LABEL) and key != _ROLE_LABEL]
    if labels.get("kubernetes.io/role"):
        roles.append(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or "<none>"


def _node_address(node: Json, kind: str) -> str:
    for address in items(section(node, "status"), "addresses"):
        if address.get("type") == kind:
            return str(address.get("address"))
    return "<none>"


def _node(node: Json, now_ns: int) -> list[Any]:
    info = section(node, "status", "nodeInfo")
    return [
        _name(node),
        _node_status(node),
        _node_roles(node),
        _age(node, now_ns),
        info.get("kubeletVersion", ""),
        _node_address(node, "InternalIP"),
        _node_address(node, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _namespace(value: Json, now_ns: int) -> list[Any]:
    return [_name(value), section(value, "status").get("phase", ""), _age(value, now_ns)]


def _event_source(event: Json) -> str:
    source = section(event, "source")
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else str(component)


def _event(event: Json, now_ns: int) -> list[Any]:
    first = event.get("firstTimestamp") or event.get("eventTime")
    last, count = event.get("lastTimestamp") or first, event.get("count") or 1
    series = section(event, "series")
    if series:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    target = section(event, "involvedObject")
    kind = str(target.get("kind", "")).lower()
    return [
        age(last, now_ns),
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{target['name']}" if target.get("name") else kind,
        target.get("fieldPath", ""),
        _event_source(event),
        str(event.get("message", "")).strip(),
        age(first, now_ns),
        count,
        _name(event),
    ]


def _lease(value: Json, now_ns: int) -> list[Any]:
    return [_name(value), section(value, "spec").get("holderIdentity", ""), _age(value, now_ns)]


def _config_map(value: Json, now_ns: int) -> list[Any]:
    count = len(section(value, "data")) + len(section(value, "binaryData"))
    return [_name(value), str(count), _age(value, now_ns)]


def _secret(value: Json, now_ns: int) -> list[Any]:
    return [_name(value), value.get("type", ""), str(len(section(value, "data"))), _age(value, now_ns)]


def _service_account(value: Json, now_ns: int) -> list[Any]:
    return [_name(value), str(len(items(value, "secrets"))), _age(value, now_ns)]


def _role(value: Json, now_ns: int) -> list[Any]:
    return [_name(value), section(value, "metadata").get("creationTimestamp", "")]


def _binding(value: Json, now_ns: int) -> list[Any]:
    reference, subjects = section(value, "roleRef"), items(value, "subjects")

    def named(kind: str) -> str:
        chosen = [subject for subject in subjects if subject.get("kind") == kind]
        prefix = kind == "ServiceAccount"
        return ", ".join(
            f"{subject.get('namespace')}/{subject.get('name')}" if prefix else str(subject.get("name"))
            for subject in chosen
        )

    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    return [_name(value), role, _age(value, now_ns), named("User"), named("Group"), named("ServiceAccount")]


def _priority_class(value: Json, now_ns: int) -> list[Any]:
    policy = value.get("preemptionPolicy", "")
    return [_name(value), value.get("value", 0), bool(value.get("globalDefault", False)), _age(value, now_ns), policy]


def _resource_quota(value: Json, now_ns: int) -> list[Any]:
    """Requests and limits as `name: used/hard`, by name."""
    status = section(value, "status")
    hard, used = section(status, "hard"), section(status, "used")
    parts = {name: f"{name}: {used.get(name, 0)}/{amount}" for name, amount in sorted(hard.items())}
    limits = [text for name, text in parts.items() if name.startswith("limits")]
    requests = [text for name, text in parts.items() if not name.startswith("limits")]
    return [_name(value), _age(value, now_ns), ", ".join(requests), ", ".join(limits)]


def _default(value: Json, now_ns: int) -> list[Any]:
    return [_name(value), section(value, "metadata").get("creationTimestamp", "")]


NODE: Final = Printer(
    columns(
        "Name",
        "Status",
        "Roles",
        "Age",
        "Version",
        "+Internal-IP",
        "+External-IP",
        "+OS-Image",
        "+Kernel-Version",
        "+Container-Runtime",
    ),
    _node,
)
NAMESPACE: Final = Printer(columns("Name", "Status", "Age"), _namespace)
EVENT: Final = Printer(
    columns(
        "Last Seen",
        "Type",
        "Reason",
        "Object",
        "+Subobject",
        "+Source",
        "Message",
        "+First Seen",
        "+Count#",
        "+Name",
    ),
    _event,
)
LEASE: Final = Printer(columns("Name", "Holder", "Age"), _lease)
CONFIG_MAP: Final = Printer(columns("Name", "Data", "Age"), _config_map)
SECRET: Final = Printer(columns("Name", "Type", "Data", "Age"), _secret)
SERVICE_ACCOUNT: Final = Printer(columns("Name", "Secrets", "Age"), _service_account)
ROLE: Final = Printer(columns("Name", "Created At"), _role)
BINDING: Final = Printer(columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"), _binding)
DEFAULT: Final = Printer(columns("Name", "Created At"), _default)
PRIORITY_CLASS: Final = Printer(columns("Name", "Value#", "Global-Default", "Age", "PreemptionPolicy"), _priority_class)
RESOURCE_QUOTA: Final = Printer(columns("Name", "Age", "Request", "Limit"), _resource_quota)
