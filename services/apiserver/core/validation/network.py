"""Rules of Services, Endpoints, EndpointSlices, Ingresses and NetworkPolicies."""

import ipaddress
from typing import Any, Final

from podwire.proto.kube.families import IPV4, IPV6, family_of
from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation import ip_families
from podwire.services.apiserver.core.validation.metadata import labels, one_of, selector
from podwire.services.apiserver.core.validation.pods import PROTOCOLS

_TYPES: Final = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
_NOT_EXTERNAL: Final = {
    "clusterIP": "spec.clusterIPs",
    "ipFamilies": "spec.ipFamilies",
    "ipFamilyPolicy": "spec.ipFamilyPolicy",
}
_PORT_RULE: Final = "must be between 1 and 65535, inclusive"


def service(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Service, after its defaults and before allocation."""
    spec = section(value, "spec")
    kind = spec.get("type", "")
    one_of(spec, "type", _TYPES, "spec", errors)
    headless = spec.get("clusterIP") == "None"
    if not items(spec, "ports") and not headless and kind != "ExternalName":
        errors.required("spec.ports")
    if headless and kind in ("LoadBalancer", "NodePort"):
        errors.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        _external_name(spec, errors)
    labels(section(spec, "selector"), "spec.selector", errors)
    one_of(spec, "sessionAffinity", ["ClientIP", "None"], "spec", errors)
    one_of(spec, "internalTrafficPolicy", ["Cluster", "Local"], "spec", errors)
    one_of(spec, "externalTrafficPolicy", ["Cluster", "Local"], "spec", errors)
    _service_ports(spec, errors)
    _addresses(spec, errors)
    if old is not None:
        ip_families.change(spec, section(old, "spec"), errors)


def _external_name(spec: Json, errors: FieldErrors) -> None:
    name = str(spec.get("externalName", "")).removesuffix(".")
    if not name:
        errors.required("spec.externalName")
    for problem in names.dns1123_subdomain(name) if name else []:
        errors.invalid("spec.externalName", name, problem)
    for field, path in _NOT_EXTERNAL.items():
        if spec.get(field):
            errors.forbidden(path, "may not be set for ExternalName services")


def _service_ports(spec: Json, errors: FieldErrors) -> None:
    ports = items(spec, "ports")
    seen_names: list[str] = []
    seen_ports: list[tuple[Any, Any]] = []
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        _service_port(port, path, len(ports) > 1, errors)
        name, identity = port.get("name", ""), (port.get("protocol"), port.get("port"))
        if name and name in seen_names:
            errors.duplicate(f"{path}.name", name)
        if identity in seen_ports:
            errors.duplicate(path, {"port": port.get("port"), "protocol": port.get("protocol")})
        seen_names.append(name)
        seen_ports.append(identity)


def _service_port(port: Json, path: str, name_needed: bool, errors: FieldErrors) -> None:
    name, target = port.get("name", ""), port.get("targetPort")
    if name_needed and not name:
        errors.required(f"{path}.name")
    for problem in names.dns1123_label(name) if name else []:
        errors.invalid(f"{path}.name", name, problem)
    for problem in names.port_number(port.get("port", 0)):
        errors.invalid(f"{path}.port", port.get("port", 0), problem)
    one_of(port, "protocol", PROTOCOLS, path, errors)
    if target is not None and port.get("port"):
        for problem in names.port_name(target) if isinstance(target, str) else names.port_number(target):
            errors.invalid(f"{path}.targetPort", target, problem)


def _addresses(spec: Json, errors: FieldErrors) -> None:
    ip_families.related_fields(spec, errors)
    for index, address in enumerate(items(spec, "externalIPs")):
        for problem in names.ip_address(address):
            errors.invalid(f"spec.externalIPs[{index}]", address, problem)


def endpoints(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """An Endpoints object."""
    for index, subset in enumerate(items(value, "subsets")):
        path = f"subsets[{index}]"
        if not items(subset, "addresses") and not items(subset, "notReadyAddresses"):
            errors.required(path, "must specify `addresses` or `notReadyAddresses`")
        for kind in ("addresses", "notReadyAddresses"):
            for at, address in enumerate(items(subset, kind)):
                for problem in names.ip_address(address.get("ip", "")):
                    errors.invalid(f"{path}.{kind}[{at}].ip", address.get("ip", ""), problem)
        for at, port in enumerate(items(subset, "ports")):
            for problem in names.port_number(port.get("port", 0)):
                errors.invalid(f"{path}.ports[{at}].port", port.get("port", 0), problem)
            one_of(port, "protocol", PROTOCOLS, f"{path}.ports[{at}]", errors)


def endpoint_slice(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """An EndpointSlice."""
    kind = value.get("addressType", "")
    if not kind:
        errors.required("addressType")
    else:
        one_of(value, "addressType", ["FQDN", "IPv4", "IPv6"], "", errors)
    if old is not None and old.get("addressType") != kind:
        errors.invalid("addressType", kind, "field is immutable")
    if len(items(value, "endpoints")) > 1000:
        errors.invalid("endpoints", len(value["endpoints"]), "must have at most 1000 items")
    for index, endpoint in enumerate(items(value, "endpoints")):
        _slice_endpoint(endpoint, kind, f"endpoints[{index}]", errors)
    for index, port in enumerate(items(value, "ports")):
        one_of(port, "protocol", PROTOCOLS, f"ports[{index}]", errors)


def _slice_endpoint(endpoint: Json, kind: str, path: str, errors: FieldErrors) -> None:
    if not items(endpoint, "addresses"):
        errors.required(f"{path}.addresses", "must contain at least 1 address")
    for at, address in enumerate(items(endpoint, "addresses")):
        problems = names.ip_address(address) if kind in (IPV4, IPV6) else []
        for problem in problems:
            errors.invalid(f"{path}.addresses[{at}]", address, problem)
        if kind in (IPV4, IPV6) and not problems and family_of(address) != kind:
            errors.invalid(f"{path}.addresses[{at}]", address, f"must be a valid {kind} address")


def ingress(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """An Ingress."""
    spec = section(value, "spec")
    if not items(spec, "rules") and spec.get("defaultBackend") is None:
        errors.invalid("spec", items(spec, "rules"), "either `defaultBackend` or `rules` must be specified")
    if isinstance(spec.get("defaultBackend"), dict):
        _backend(spec["defaultBackend"], "spec.defaultBackend", errors)
    for index, rule in enumerate(items(spec, "rules")):
        host = rule.get("host", "")
        for problem in names.dns1123_subdomain(host.removeprefix("*.")) if host else []:
            errors.invalid(f"spec.rules[{index}].host", host, problem)
        for at, path in enumerate(items(section(rule, "http"), "paths")):
            _ingress_path(path, f"spec.rules[{index}].http.paths[{at}]", errors)


def _ingress_path(path: Json, place: str, errors: FieldErrors) -> None:
    kind = path.get("pathType")
    if kind is None:
        errors.required(f"{place}.pathType", "pathType must be specified")
    else:
        one_of(path, "pathType", ["Exact", "ImplementationSpecific", "Prefix"], place, errors)
    text = path.get("path", "")
    if (text or kind in ("Exact", "Prefix")) and not text.startswith("/"):
        errors.invalid(f"{place}.path", text, "must be an absolute path")
    _backend(section(path, "backend"), f"{place}.backend", errors)


def _backend(backend: Json, place: str, errors: FieldErrors) -> None:
    target = section(backend, "service")
    if not target and not backend.get("resource"):
        errors.required(place, "resource or service backend is required")
        return
    if target and not target.get("name"):
        errors.required(f"{place}.service.name")
    port = section(target, "port")
    if target and not port.get("name") and not port.get("number"):
        errors.required(place, "port name or number is required")


def network_policy(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A NetworkPolicy."""
    spec = section(value, "spec")
    selector(section(spec, "podSelector"), "spec.podSelector", errors)
    for index, kind in enumerate(items(spec, "policyTypes")):
        if kind not in ("Ingress", "Egress"):
            errors.unsupported(f"spec.policyTypes[{index}]", kind, ["Egress", "Ingress"])
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(items(spec, direction)):
            path = f"spec.{direction}[{index}]"
            for at, peer in enumerate(items(rule, peers)):
                _peer(peer, f"{path}.{peers}[{at}]", errors)
            for at, port in enumerate(items(rule, "ports")):
                _policy_port(port, f"{path}.ports[{at}]", errors)


def _peer(peer: Json, path: str, errors: FieldErrors) -> None:
    kinds = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    if not kinds:
        errors.required(path, "must specify a peer")
    if "ipBlock" in kinds and len(kinds) > 1:
        errors.forbidden(path, "may not specify both ipBlock and another peer")
    for name in ("podSelector", "namespaceSelector"):
        selector(section(peer, name), f"{path}.{name}", errors)
    if "ipBlock" in kinds:
        _ip_block(peer["ipBlock"], f"{path}.ipBlock", errors)


def _ip_block(block: Json, path: str, errors: FieldErrors) -> None:
    cidr = _network(block.get("cidr", ""), f"{path}.cidr", errors)
    for index, text in enumerate(items(block, "except")):
        inner = _network(text, f"{path}.except[{index}]", errors)
        if cidr and inner and not (inner.version == cidr.version and inner.subnet_of(cidr)):  # type: ignore[arg-type]  # versions are equal
            errors.invalid(f"{path}.except[{index}]", text, f"must be a strict subset of `{path}.cidr`")


def _network(text: str, path: str, errors: FieldErrors) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        if "/" in text:
            return ipaddress.ip_network(text, strict=False)
    except ValueError:
        pass
    if text:
        errors.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
    else:
        errors.required(path)
    return None


def _policy_port(port: Json, path: str, errors: FieldErrors) -> None:
    one_of(port, "protocol", PROTOCOLS, path, errors)
    number, last = port.get("port"), port.get("endPort")
    if isinstance(number, int) and not 1 <= number <= 65535:
        errors.invalid(f"{path}.port", number, _PORT_RULE)
    for problem in names.port_name(number) if isinstance(number, str) else []:
        errors.invalid(f"{path}.port", number, problem)
    if last is not None and number is None:
        errors.required(f"{path}.port", "must be specified when `endPort` is specified")
    elif last is not None and isinstance(number, int) and last < number:
        errors.invalid(f"{path}.endPort", last, f"must be greater than or equal to `port` ({number})")
