"""How Services, Endpoints, EndpointSlices, Ingresses, NetworkPolicies and IPAddresses and ServiceCIDRs print."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns, more
from podwire.services.apiserver.core.selectors import format_selector
from podwire.services.apiserver.core.times import age


def _age(value: Json, now_ns: int) -> str:
    return age(section(value, "metadata").get("creationTimestamp"), now_ns)


def _host_port(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _service_ports(spec: Json) -> str:
    texts = []
    for port in items(spec, "ports"):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or "<none>"


def _load_balancer_addresses(value: Json) -> list[str]:
    ingress = items(section(value, "status", "loadBalancer"), "ingress")
    return [entry.get("ip") or entry.get("hostname", "") for entry in ingress]


def _external_ip(value: Json) -> str:
    spec = section(value, "spec")
    external = items(spec, "externalIPs")
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        return ",".join([*_load_balancer_addresses(value), *external]) or "<pending>"
    return ",".join(external) or "<none>"


def _service(value: Json, now_ns: int) -> list[Any]:
    spec = section(value, "spec")
    selector = ",".join(f"{key}={text}" for key, text in sorted(section(spec, "selector").items()))
    return [
        value["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        (items(spec, "clusterIPs") or ["<none>"])[0],
        _external_ip(value),
        _service_ports(spec),
        _age(value, now_ns),
        selector or "<none>",
    ]


def _endpoint_texts(value: Json) -> list[str]:
    texts: list[str] = []
    for subset in items(value, "subsets"):
        addresses = [address.get("ip", "") for address in items(subset, "addresses")]
        ports = items(subset, "ports")
        texts += [_host_port(ip, port.get("port")) for port in ports for ip in addresses] if ports else addresses
    return texts


def _endpoints(value: Json, now_ns: int) -> list[Any]:
    texts = _endpoint_texts(value)
    shown = more(texts, len(texts)) if items(value, "subsets") else "<none>"
    return [value["metadata"]["name"], shown, _age(value, now_ns)]


def _slice_ports(value: Json) -> str:
    ports = items(value, "ports")
    texts = [str(port.get("port") or port.get("name") or "*") for port in ports]
    return more(texts, len(texts)) if texts else "<unset>"


def _endpoint_slice(value: Json, now_ns: int) -> list[Any]:
    addresses = [ip for endpoint in items(value, "endpoints") for ip in items(endpoint, "addresses")]
    return [
        value["metadata"]["name"],
        value.get("addressType", ""),
        _slice_ports(value),
        more(addresses, len(addresses)) if addresses else "<unset>",
        _age(value, now_ns),
    ]


def _ingress(value: Json, now_ns: int) -> list[Any]:
    spec, meta = section(value, "spec"), section(value, "metadata")
    hosts = [rule["host"] for rule in items(spec, "rules") if rule.get("host")]
    legacy = section(meta, "annotations").get("kubernetes.io/ingress.class")
    return [
        meta["name"],
        spec.get("ingressClassName") or legacy or "<none>",
        more(hosts, len(hosts)) if hosts else "*",
        ",".join(_load_balancer_addresses(value)),
        "80, 443" if items(spec, "tls") else "80",
        _age(value, now_ns),
    ]


def _ingress_class(value: Json, now_ns: int) -> list[Any]:
    spec = section(value, "spec")
    parameters = section(spec, "parameters")
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    shown = f"{parameters.get('kind')}{group}/{parameters.get('name')}" if parameters else "<none>"
    return [value["metadata"]["name"], spec.get("controller", ""), shown, _age(value, now_ns)]


def _network_policy(value: Json, now_ns: int) -> list[Any]:
    selector = format_selector(section(value, "spec", "podSelector"))
    return [value["metadata"]["name"], selector, _age(value, now_ns)]


def _ip_address(value: Json, now_ns: int) -> list[Any]:
    parent = section(value, "spec", "parentRef")
    if not parent:
        return [value["metadata"]["name"], "<none>"]
    group = f".{parent['group']}" if parent.get("group") else ""
    place = f"{parent['namespace']}/" if parent.get("namespace") else ""
    shown = f"{parent.get('resource', '')}{group}/{place}{parent.get('name', '')}"
    return [value["metadata"]["name"], shown]


def _service_cidr(value: Json, now_ns: int) -> list[Any]:
    return [value["metadata"]["name"], ",".join(items(section(value, "spec"), "cidrs")), _age(value, now_ns)]


SERVICE: Final = Printer(columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"), _service)
ENDPOINTS: Final = Printer(columns("Name", "Endpoints", "Age"), _endpoints)
ENDPOINT_SLICE: Final = Printer(columns("Name", "AddressType", "Ports", "Endpoints", "Age"), _endpoint_slice)
INGRESS: Final = Printer(columns("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress)
INGRESS_CLASS: Final = Printer(columns("Name", "Controller", "Parameters", "Age"), _ingress_class)
NETWORK_POLICY: Final = Printer(columns("Name", "Pod-Selector", "Age"), _network_policy)
SERVICE_CIDR: Final = Printer(columns("Name", "CIDRs", "Age"), _service_cidr)
IP_ADDRESS: Final = Printer(columns("Name", "ParentRef"), _ip_address)
