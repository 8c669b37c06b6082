"""Endpoints: the older form, one object a Service, with addresses of its primary family.

Source: kubernetes `pkg/controller/endpoint/endpoints_controller.go`.
"""

from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.resources import ENDPOINTS, PODS, SERVICES
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
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.trigger_times import TriggerTimes, present
from podwire.services.controllers.core.writes import Create, Delete, Json, Patch, Plan

HEADLESS: Final = "service.kubernetes.io/headless"
_MANAGED: Final = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def decide(triggers: TriggerTimes, key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that the Endpoints of one Service need; `key` is the Service's."""
    plan = Plan()
    service, current = cluster[SERVICES].objects.get(key), cluster[ENDPOINTS].get(key.namespace, key.name)
    if service is None:
        triggers.forget(key)
        if current is not None and _is_ours(current):
            plan.writes.append(Delete(ENDPOINTS, key.namespace, key.name, current["metadata"]["uid"]))
        return plan
    if not section(service, "spec").get("selector") or is_going(service):
        return plan
    pods = selected(service, cluster[PODS].in_namespace(key.namespace))
    wanted = _subsets(service, backends(service, pods, families(service)[0]))
    labels, annotations = _labels(service), triggers.annotations(key, service, pods)
    if current is None:
        metadata = {"name": key.name, "namespace": key.namespace, "labels": labels, "annotations": present(annotations)}
        plan.writes.append(Create(ENDPOINTS, {"metadata": metadata, "subsets": wanted}))
    elif (current.get("subsets") or []) != wanted or section(current, "metadata", "labels") != labels:
        replaced = _replaced(section(current, "metadata", "labels"), labels)
        body = {"metadata": {"labels": replaced, "annotations": annotations}, "subsets": wanted}
        plan.writes.append(
            Patch(ENDPOINTS, key.namespace, key.name, body, revision=cluster[ENDPOINTS].revision(current))
        )
    return plan


def _is_ours(value: Json) -> bool:
    return _MANAGED.items() <= section(value, "metadata", "labels").items()


def _labels(service: Json) -> Json:
    headless = {HEADLESS: ""} if is_headless(service) else {}
    return {**section(service, "metadata", "labels"), **headless, **_MANAGED}


def _replaced(current: Json, wanted: Json) -> Json:
    """A merge patch's labels: those that go are null."""
    return {name: None for name in current if name not in wanted} | wanted


def _subsets(service: Json, found: list[Backend]) -> list[Json]:
    """Addresses grouped by their ports (endpoints.RepackSubsets)."""
    groups: dict[Ports, dict[str, list[Json]]] = {}
    for backend in sorted(found, key=lambda each: (each.address, each.pod["metadata"]["uid"])):
        if backend.terminating and not backend.ready:
            continue
        if not backend.ports and not is_headless(service):
            continue
        kind = "addresses" if backend.ready else "notReadyAddresses"
        groups.setdefault(backend.ports, {}).setdefault(kind, []).append(_address(service, backend))
    return [{**groups[ports], **_ports(ports)} for ports in sorted(groups)]


def _ports(ports: Ports) -> Json:
    listed = []
    for port in ports:
        entry: Json = {"name": port.name} if port.name else {}
        entry |= {"port": port.port, "protocol": port.protocol}
        listed.append(entry | ({"appProtocol": port.app_protocol} if port.app_protocol else {}))
    return {"ports": listed} if listed else {}


def _address(service: Json, backend: Backend) -> Json:
    entry: Json = {"ip": backend.address}
    if hostname(service, backend.pod):
        entry["hostname"] = hostname(service, backend.pod)
    node = section(backend.pod, "spec").get("nodeName")
    if node:
        entry["nodeName"] = node
    return entry | {"targetRef": target_reference(backend.pod)}
