"""EndpointSlices: up to 100 endpoints of one family each; an endpoint stays in its slice.

A slice's name follows from the Service's uid, the family and a number, so that a view of the cluster that lags cannot
make two. Source: kubernetes `staging/src/k8s.io/endpointslice`.
"""

from typing import Final

from podwire.proto.kube.families import IPV6
from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import ENDPOINT_SLICES, PODS, SERVICES
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core.backends import (
    Backend,
    Ports,
    backends,
    families,
    hostname,
    is_headless,
    selected,
    target_reference,
)
from podwire.services.controllers.core.cluster import Cluster, controller_of, is_going, owner_reference
from podwire.services.controllers.core.endpoints import HEADLESS
from podwire.services.controllers.core.templates import short_hash
from podwire.services.controllers.core.trigger_times import TriggerTimes, present
from podwire.services.controllers.core.writes import Create, Delete, Json, Patch, Plan

SERVICE_NAME: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
CONTROLLER: Final = "endpointslice-controller.k8s.io"
SLICE_SIZE: Final = 100
_IN_NAME: Final = {IPV6: "v6-"}

type _Endpoints = dict[str, Json]


def decide(triggers: TriggerTimes, key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that the slices of one Service need; `key` is the Service's."""
    plan = Plan()
    service = cluster[SERVICES].objects.get(key)
    if service is None:
        triggers.forget(key)
    if service is None or is_going(service) or not section(service, "spec").get("selector"):
        return plan
    existing, pods = slices_of(service, cluster), selected(service, cluster[PODS].in_namespace(key.namespace))
    layout: list[_Slot] = []
    for family in families(service):
        groups: dict[Ports, _Endpoints] = {}
        for backend in backends(service, pods, family):
            endpoint = _endpoint(service, backend)
            groups.setdefault(backend.ports, {})[backend.pod["metadata"]["uid"]] = endpoint
        mine = [each for each in existing if each.get("addressType") == family]
        layout += _layout(mine, groups or {(): {}}, family)
    _write(service, cluster, existing, layout, triggers.annotations(key, service, pods), plan)
    return plan


def slices_of(service: Json, cluster: Cluster) -> list[Json]:
    """The slices that this controller made for a Service."""
    uid = service["metadata"]["uid"]
    return [
        each
        for each in cluster[ENDPOINT_SLICES].owned_by(uid)
        if section(each, "metadata", "labels").get(MANAGED_BY) == CONTROLLER and not is_going(each)
    ]


def service_of(value: Json) -> str:
    """The name of the Service that a slice belongs to."""
    owner = controller_of(value)
    return str(section(value, "metadata", "labels").get(SERVICE_NAME) or owner.get("name", ""))


class _Slot:
    """One slice to be: an existing one (or None) and what it holds."""

    def __init__(self, existing: Json | None, ports: Ports, family: str) -> None:
        self.existing, self.ports, self.family = existing, ports, family
        self.endpoints: list[Json] = []


def _layout(existing: list[Json], groups: dict[Ports, _Endpoints], family: str) -> list[_Slot]:
    slots: list[_Slot] = []
    for ports in sorted(groups):
        mine = [_Slot(each, ports, family) for each in existing if items(each, "ports") == _ports(ports)]
        slots += _fill(mine, groups[ports], ports, family)
    return slots


def _fill(slots: list[_Slot], wanted: _Endpoints, ports: Ports, family: str) -> list[_Slot]:
    """Endpoints stay where they are; new ones go where there is room, then into new slices."""
    waiting = dict(wanted)
    for slot in slots:
        for endpoint in items(slot.existing or {}, "endpoints"):
            uid = section(endpoint, "targetRef").get("uid", "")
            if uid in waiting:
                slot.endpoints.append(waiting.pop(uid))
    rest = list(waiting.values())
    for slot in slots:
        room = SLICE_SIZE - len(slot.endpoints)
        slot.endpoints += rest[:room]
        rest = rest[room:]
    kept = [slot for slot in slots if slot.endpoints] or slots[:1]
    for start in range(0, len(rest), SLICE_SIZE):
        fresh = _Slot(None, ports, family)
        fresh.endpoints = rest[start : start + SLICE_SIZE]
        kept.append(fresh)
    return kept or [_Slot(None, ports, family)]


def _ports(ports: Ports) -> list[Json]:
    listed = []
    for port in ports:
        entry: Json = {"name": port.name, "port": port.port, "protocol": port.protocol}
        listed.append(entry | ({"appProtocol": port.app_protocol} if port.app_protocol else {}))
    return listed


def _endpoint(service: Json, backend: Backend) -> Json:
    conditions = {"ready": backend.ready, "serving": backend.serving, "terminating": backend.terminating}
    entry: Json = {"addresses": [backend.address], "conditions": conditions}
    if hostname(service, backend.pod):
        entry["hostname"] = hostname(service, backend.pod)
    node = section(backend.pod, "spec").get("nodeName")
    if node:
        entry["nodeName"] = node
    return entry | {"targetRef": target_reference(backend.pod)}


def _labels(service: Json) -> Json:
    headless = {HEADLESS: ""} if is_headless(service) else {}
    own = {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: CONTROLLER}
    return {**section(service, "metadata", "labels"), **headless, **own}


def _write(
    service: Json,
    cluster: Cluster,
    existing: list[Json],
    layout: list[_Slot],
    annotations: dict[str, str | None],
    plan: Plan,
) -> None:
    meta, labels = service["metadata"], _labels(service)
    taken = [each["metadata"]["name"] for each in existing]
    kept = []
    for slot in layout:
        if slot.existing is None:
            plan.writes.append(_creation(service, labels, present(annotations), slot, taken))
            continue
        kept.append(slot.existing["metadata"]["name"])
        if items(slot.existing, "endpoints") != slot.endpoints or not _has(slot.existing, labels):
            body = {"metadata": {"labels": labels, "annotations": annotations}, "endpoints": slot.endpoints}
            revision = cluster[ENDPOINT_SLICES].revision(slot.existing)
            plan.writes.append(Patch(ENDPOINT_SLICES, meta["namespace"], kept[-1], body, revision=revision))
    for each in existing:
        name, uid = each["metadata"]["name"], each["metadata"]["uid"]
        if name not in kept:
            plan.writes.append(Delete(ENDPOINT_SLICES, meta["namespace"], name, uid))


def _has(value: Json, labels: Json) -> bool:
    return bool(labels.items() <= section(value, "metadata", "labels").items())


def _creation(service: Json, labels: Json, annotations: Json, slot: _Slot, taken: list[str]) -> Create:
    meta = service["metadata"]
    name, number = "", 0
    while not name or name in taken:
        name = f"{meta['name']}-{short_hash(meta['uid'], f'{_IN_NAME.get(slot.family, "")}{number}')}"
        number += 1
    taken.append(name)
    metadata = {
        "name": name,
        "generateName": f"{meta['name']}-",
        "namespace": meta["namespace"],
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner_reference(SERVICES, service)],
    }
    body = {"metadata": metadata, "addressType": slot.family, "endpoints": slot.endpoints, "ports": _ports(slot.ports)}
    return Create(ENDPOINT_SLICES, body)
