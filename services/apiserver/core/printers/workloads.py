"""How Deployments, ReplicaSets, DaemonSets, StatefulSets and ControllerRevisions print."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns, name_and_age, template_cells


def _deployment(value: Json, now_ns: int) -> list[Any]:
    status = section(value, "status")
    name, age = name_and_age(value, now_ns)
    return [
        name,
        f"{status.get('readyReplicas', 0)}/{section(value, 'spec').get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age,
        *template_cells(section(value, "spec")),
    ]


def _replica_set(value: Json, now_ns: int) -> list[Any]:
    status = section(value, "status")
    name, age = name_and_age(value, now_ns)
    return [
        name,
        section(value, "spec").get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age,
        *template_cells(section(value, "spec")),
    ]


def _daemon_set(value: Json, now_ns: int) -> list[Any]:
    status = section(value, "status")
    node_selector = section(value, "spec", "template", "spec", "nodeSelector")
    name, age = name_and_age(value, now_ns)
    return [
        name,
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        ",".join(f"{key}={text}" for key, text in sorted(node_selector.items())) or "<none>",
        age,
        *template_cells(section(value, "spec")),
    ]


def _stateful_set(value: Json, now_ns: int) -> list[Any]:
    status, spec = section(value, "status"), section(value, "spec")
    name, age = name_and_age(value, now_ns)
    return [name, f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}", age, *template_cells(spec)[:2]]


def _controller_revision(value: Json, now_ns: int) -> list[Any]:
    owners = [owner for owner in items(section(value, "metadata"), "ownerReferences") if owner.get("controller")]
    owner = "<none>"
    if owners:
        group = owners[0].get("apiVersion", "").rpartition("/")[0]
        kind = owners[0].get("kind", "").lower()
        owner = f"{kind}.{group}/{owners[0].get('name')}" if group else f"{kind}/{owners[0].get('name')}"
    name, age = name_and_age(value, now_ns)
    return [name, owner, value.get("revision", 0), age]


_WIDE: Final = ("+Containers", "+Images", "+Selector")
DEPLOYMENT: Final = Printer(columns("Name", "Ready", "Up-to-date#", "Available#", "Age", *_WIDE), _deployment)
REPLICA_SET: Final = Printer(columns("Name", "Desired#", "Current#", "Ready#", "Age", *_WIDE), _replica_set)
DAEMON_SET: Final = Printer(
    columns(
        "Name",
        "Desired#",
        "Current#",
        "Ready#",
        "Up-to-date#",
        "Available#",
        "Node Selector",
        "Age",
        *_WIDE,
    ),
    _daemon_set,
)
STATEFUL_SET: Final = Printer(columns("Name", "Ready", "Age", "+Containers", "+Images"), _stateful_set)
CONTROLLER_REVISION: Final = Printer(columns("Name", "Controller", "Revision#", "Age"), _controller_revision)
