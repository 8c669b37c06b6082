"""The claims that a Service's write brings along: ClusterIPs and node ports, taken before and released after it."""

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import allocation
from podwire.services.apiserver.core.decisions import Append
from podwire.services.apiserver.core.defaults.network import wants_node_ports
from podwire.services.apiserver.core.errors import FieldErrors, internal
from podwire.services.apiserver.core.ip_families import settle
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.chassis.chance import uuid4


def normalize_cluster_ips(value: Json, old: Json | None) -> None:
    """`clusterIP` and `clusterIPs` say the same (service registry, normalizeClusterIPs)."""
    spec, before = section(value, "spec"), section(old or {}, "spec")
    single, several = spec.get("clusterIP"), items(spec, "clusterIPs")
    if old is None or not before.get("clusterIP"):
        if single and not several:
            spec["clusterIPs"] = [single]
    elif single == before["clusterIP"] and not several:
        spec["clusterIPs"] = items(before, "clusterIPs")
    elif single != before["clusterIP"] and several == items(before, "clusterIPs"):
        spec["clusterIPs"] = [single] if single else []
    if spec.get("type") == "ExternalName" and old is not None and before.get("type") != "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(name, None)


def keep_allocated(value: Json, old: Json) -> None:
    """What an update leaves out stays allocated: the ClusterIP and the node ports of unchanged ports."""
    spec, before = section(value, "spec"), section(old, "spec")
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        if not spec.get("clusterIP") and "clusterIP" in before:
            spec["clusterIP"] = before["clusterIP"]
        if not items(spec, "clusterIPs") and spec.get("clusterIP") == before.get("clusterIP"):
            spec["clusterIPs"] = items(before, "clusterIPs")
    ports = {(port.get("protocol"), port.get("port")): port for port in items(before, "ports")}
    if wants_node_ports(spec):
        for port in items(spec, "ports"):
            earlier = ports.get((port.get("protocol", "TCP"), port.get("port")), {}).get("nodePort")
            if earlier and not port.get("nodePort"):
                port["nodePort"] = earlier
    elif wants_node_ports(before):
        for port in items(spec, "ports"):
            if port.get("nodePort") == ports.get((port.get("protocol"), port.get("port")), {}).get("nodePort"):
                port.pop("nodePort", None)


def allocate(request: Request, value: Json, old: Json | None, errors: FieldErrors) -> None:
    """Chooses what the Service needs and did not ask for; reports what it asked for and cannot have."""
    spec = section(value, "spec")
    held = allocation.claims_of(old)
    try:
        if settle(spec, section(old or {}, "spec"), allocation.families(request.store), errors):
            _cluster_ips(request, value, spec, held, errors)
        _node_ports(request, value, spec, held, errors)
    except allocation.Exhausted as error:
        raise internal(f"failed to allocate a serviceIP or nodePort: {error}") from None


def _cluster_ips(request: Request, value: Json, spec: Json, held: dict[ObjectKey, None], errors: FieldErrors) -> None:
    """One of each of the Service's families; headless and ExternalName Services have none."""
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
        return
    given = items(spec, "clusterIPs")
    for address in given:
        if allocation.ip_key(address) not in held:
            allocation.check_cluster_ip(request.store, value, address, errors)
    chosen = [
        allocation.choose_cluster_ip(request.store, value, family, request.random)
        for family in items(spec, "ipFamilies")[len(given) :]
    ]
    addresses = [*given, *chosen]
    spec["clusterIP"], spec["clusterIPs"] = addresses[0], addresses


def _node_ports(request: Request, value: Json, spec: Json, held: dict[ObjectKey, None], errors: FieldErrors) -> None:
    taken = [port["nodePort"] for port in items(spec, "ports") if port.get("nodePort")]
    for index, port in enumerate(items(spec, "ports")):
        asked, path = port.get("nodePort"), f"spec.ports[{index}].nodePort"
        if asked and spec.get("type") in ("ClusterIP", "ExternalName"):
            errors.forbidden(path, "may not be used when `type` is 'ClusterIP'")
        elif asked and asked not in allocation.NODE_PORTS:
            errors.invalid(
                path, asked, "provided port is not in the valid range. The range of valid ports is 30000-32767"
            )
        elif asked and allocation.port_key(asked) not in held:
            if not allocation.is_free(request.store, allocation.port_key(asked), value):
                errors.invalid(path, asked, "provided port is already allocated")
        elif not asked and wants_node_ports(spec):
            port["nodePort"] = allocation.choose_node_port(request.store, value, taken, request.random)
            taken.append(port["nodePort"])


def appends(request: Request, value: Json, old: Json | None) -> tuple[tuple[Append, ...], tuple[Append, ...]]:
    """The claims to append before the Service and the releases after it."""
    wanted, held = allocation.claims_of(value), allocation.claims_of(old)
    claims = [_claim(request, key, value) for key in wanted if key not in held and request.store.get(key) is None]
    return tuple(claims), releases(request, [key for key in held if key not in wanted])


def _claim(request: Request, key: ObjectKey, service: Json) -> Append:
    is_address = (key.group, key.resource) == allocation.IP_STORAGE
    claim = (
        allocation.cluster_ip_claim(key.name, service)
        if is_address
        else allocation.node_port_claim(int(key.name), service)
    )
    meta = claim["metadata"]
    meta["uid"], meta["creationTimestamp"] = uuid4(request.random), rfc3339(request.now)
    return request.event(key, "ADDED", claim)


def releases(request: Request, keys: list[ObjectKey]) -> tuple[Append, ...]:
    """The deletions of claims that exist."""
    found = [(key, request.store.get(key)) for key in keys]
    return tuple(request.event(key, "DELETED", claim) for key, claim in found if claim is not None)
