"""How Deployments, ReplicaSets and DaemonSets print."""

from typing import Any, Final

from podwire.services.apiserver.core.json_types import Json, items, section
from podwire.services.apiserver.core.printers.table import Printer, columns
from podwire.services.apiserver.core.selectors import format_selector
from podwire.services.apiserver.core.times import age


def _template(value: Json) -> list[str]:
    containers = items(section(value, "spec", "template", "spec"), "containers")
    names = ",".join(container.get("name", "") for container in containers)
    images = ",".join(container.get("image", "") for container in containers)
    return [names, images, format_selector(section(value, "spec").get("selector"))]


def _age(value: Json, now_ns: int) -> str:
    return age(section(value, "metadata").get("creationTimestamp"), now_ns)


def _deployment(value: Json, now_ns: int) -> list[Any]:
    status = section(value, "status")
    return [
        value["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{section(value, 'spec').get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(value, now_ns),
        *_template(value),
    ]


def _replica_set(value: Json, now_ns: int) -> list[Any]:
    status = section(value, "status")
    return [
        value["metadata"]["name"],
        section(value, "spec").get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(value, now_ns),
        *_template(value),
    ]


def _daemon_set(value: Json, now_ns: int) -> list[Any]:
    status = section(value, "status")
    node_selector = section(value, "spec", "template", "spec", "nodeSelector")
    return [
        value["metadata"]["name"],
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        ",".join(f"{key}={text}" for key, text in sorted(node_selector.items())) or "<none>",
        _age(value, now_ns),
        *_template(value),
    ]


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
