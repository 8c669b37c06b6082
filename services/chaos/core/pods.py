"""What PodChaos does to a pod, and takes back.

Source: chaos-mesh `controllers/chaosimpl/podchaos/{podkill,podfailure,containerkill}`, `pkg/annotation`.
"""

import hashlib
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chaos.core.selecting import pod_id

_LISTS: Final = ("initContainers", "containers")
_LONGEST: Final = 63


def check(spec: Json) -> None:
    """Raises BadChaos for what is missing."""
    if spec.get("action") == "container-kill" and not items(spec, "containerNames"):
        raise BadChaos(
            "spec.containerNames: the name of at least one container is needed for the action container-kill"
        )


def identifiers(spec: Json, pods: list[Json]) -> list[str]:
    """What records are made of: pods, or for container-kill the named containers of each."""
    if spec.get("action") != "container-kill":
        return [pod_id(pod) for pod in pods]
    wanted = items(spec, "containerNames")
    return [
        f"{pod_id(pod)}/{container['name']}"
        for pod in pods
        for container in items(section(pod, "spec"), "containers")
        if container["name"] in wanted
    ]


def container_of(pod: Json, name: str) -> str:
    """The id of a container that runs. Raises BadChaos."""
    for status in items(section(pod, "status"), "containerStatuses"):
        if status.get("name") == name and "running" in section(status, "state"):
            return str(status.get("containerID", "")).rpartition("//")[2]
    raise BadChaos(f"container {name} of pod {pod_id(pod)} is not running")


def failing(chaos: Json, pod: Json, image: str) -> Json:
    """The strategic merge patch that has every container run an image that does nothing, and remembers its own."""
    annotations: Json = {}
    spec: Json = {}
    for kind in _LISTS:
        for container in items(section(pod, "spec"), kind):
            annotations.setdefault(_key(chaos, container["name"]), container["image"])
            spec.setdefault(kind, []).append({"name": container["name"], "image": image})
    known = section(pod, "metadata", "annotations")
    return {
        "metadata": {"annotations": annotations | {key: known[key] for key in annotations if key in known}},
        "spec": spec,
    }


def recovering(chaos: Json, pod: Json) -> Json | None:
    """The patch that gives every container its own image again; None where there is nothing to give back."""
    known = section(pod, "metadata", "annotations")
    annotations: Json = {}
    spec: Json = {}
    for kind in _LISTS:
        for container in items(section(pod, "spec"), kind):
            key = _key(chaos, container["name"])
            if key in known:
                annotations[key] = None
                spec.setdefault(kind, []).append({"name": container["name"], "image": known[key]})
    return {"metadata": {"annotations": annotations}, "spec": spec} if spec else None


def _key(chaos: Json, container: str) -> str:
    digest = hashlib.sha1(chaos["metadata"]["uid"].encode()).hexdigest()[:8]
    return f"chaos-mesh-{digest}-{container}"[: _LONGEST - len("-image")] + "-image"
