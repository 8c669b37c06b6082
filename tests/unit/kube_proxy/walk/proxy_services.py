"""The Services of the packet walks: one for each feature, as objects of the API."""

from collections.abc import Iterator
from typing import Any, Final

from proxy_plan import ENDPOINTS, LOCAL, of

from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.messages import codec
from podwire.proto.subjects import ObjectKey
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.fold import Fold

NODE_NAME, ZONE = "node-1", "a"
READY: Final[dict[str, bool]] = {"ready": True, "serving": True}
LEAVING: Final = {"ready": False, "serving": True, "terminating": True}
NOT_READY: Final = {"ready": False, "serving": False}

Given = dict[str, Any]
"""name, number (its cluster IP is 172.30.0.number), ports, endpoints, and fields of its spec in IPv4."""


def _port(port: int, target: int, protocol: str = "TCP", node_port: int = 0, name: str = "") -> Given:
    return {"name": name, "port": port, "targetPort": target, "protocol": protocol, "nodePort": node_port}


HTTP: Final = _port(80, 8080)
BOTH: Final = {"l1": READY, "r1": READY}
LOCALLY: Final = {"externalTrafficPolicy": "Local"}


def _service(name: str, number: int, endpoints: Given, *ports: Given, **spec: Any) -> Given:
    return {"name": name, "number": number, "endpoints": endpoints, "ports": ports or (HTTP,), "spec": spec}


def _node_port(name: str, number: int, endpoints: Given, **spec: Any) -> Given:
    return _service(name, number, endpoints, _port(80, 8080, node_port=30_000 + number), type="NodePort", **spec)


def _balancer(name: str, number: int, endpoints: Given, **spec: Any) -> Given:
    made = _node_port(name, number, endpoints, **spec)
    made["spec"]["type"] = "LoadBalancer"
    return {**made, "ingress": [{"ip": f"1.2.3.{number}"}]}


SERVICES: Final[list[Given]] = [
    _service("web", 41, BOTH),
    _service("dns", 42, {"l2": READY}, _port(53, 5353, "UDP", name="dns"), _port(53, 5353, name="dns-tcp")),
    _service("sctp", 43, BOTH, _port(7777, 7777, "SCTP")),
    _service("empty", 44, {}, HTTP, _port(53, 5353, "UDP", name="dns")),
    _service("internal-local", 45, BOTH, internalTrafficPolicy="Local"),
    _service("internal-local-none", 46, {"r1": READY}, internalTrafficPolicy="Local"),
    _node_port("node-port", 47, BOTH),
    _node_port("node-port-local", 48, BOTH, **LOCALLY),
    _node_port("node-port-local-none", 49, {"r1": READY}, **LOCALLY),
    _node_port("node-port-empty", 50, {}),
    _balancer("balancer", 51, BOTH),
    _balancer("balancer-local", 52, BOTH, healthCheckNodePort=31052, **LOCALLY),
    _balancer("balancer-local-none", 54, {"r1": READY}, healthCheckNodePort=31054, **LOCALLY),
    _balancer("fenced", 55, BOTH, loadBalancerSourceRanges=["203.0.113.0/24"]),
    _balancer("fenced-with-node", 56, BOTH, loadBalancerSourceRanges=["192.168.0.0/24", "10.180.1.0/24"]),
    {**_balancer("by-proxy", 57, BOTH), "ingress": [{"ip": "1.2.3.57", "ipMode": "Proxy"}]},
    _service("external", 58, BOTH, externalIPs=["192.168.99.58"]),
    _service("external-local", 59, BOTH, externalIPs=["192.168.99.59"], **LOCALLY),
    _service("external-local-none", 60, {"r1": READY}, externalIPs=["192.168.99.60"], **LOCALLY),
    _service("external-empty", 61, {}, externalIPs=["192.168.99.61"]),
    _service("leaving", 62, {"l1": LEAVING, "r1": NOT_READY}),
    _service("one-leaving", 63, {"l1": LEAVING, "r1": READY}),
    _node_port("local-leaving", 64, {"l1": LEAVING, "r1": READY}, **LOCALLY),
    _service("not-ready", 65, {"l1": NOT_READY}),
    _service("near", 66, {"l1": {**READY, "zones": ["a"]}, "r1": {**READY, "zones": ["b"]}}),
    _service("half-hinted", 67, {"l1": {**READY, "zones": ["a"]}, "r1": READY}),
    _service("hinted-elsewhere", 68, {"l1": {**READY, "zones": ["b"]}, "r1": {**READY, "zones": ["b"]}}),
    _node_port("near-local", 69, {"l1": {**READY, "zones": ["b"]}, "r1": {**READY, "zones": ["a"]}}, **LOCALLY),
    _service("sticky", 70, {"l1": READY, "l2": READY, "r1": READY, "r2": READY}, sessionAffinity="ClientIP"),
    _service("alone", 71, {"l1": READY}),
    _service("udp-port", 72, {"r1": READY}, _port(53, 5353, "UDP", 30072), type="NodePort"),
    _service("sctp-port", 73, {"l1": READY}, _port(7777, 7777, "SCTP", 30073), type="NodePort"),
    _service("two-ports", 74, {"l1": READY}, _port(80, 8080, name="http"), _port(81, 8081, name="admin")),
    _node_port("both-local", 75, BOTH, internalTrafficPolicy="Local", **LOCALLY),
    {**_service("other-proxy", 76, BOTH), "labels": {"service.kubernetes.io/service-proxy-name": "mesh"}},
    _node_port("all", 77, {"l1": READY, "l2": READY, "r1": READY, "r2": READY}, externalIPs=["192.168.99.77"]),
    _balancer("balancer-empty", 78, {}),
    _service("udp-local", 79, {"l2": READY, "r2": READY}, _port(53, 5353, "UDP", 30079), type="NodePort", **LOCALLY),
]


def cluster_ip(number: int) -> str:
    """The IPv4 cluster IP of a Service."""
    return f"172.30.0.{number}"


def objects(given: Given, family: Family) -> tuple[Service, EndpointSlice]:
    """The Service and its EndpointSlice in a family."""
    spec, address = dict(given["spec"]), of(family, cluster_ip(given["number"]))
    for name in ("externalIPs", "loadBalancerSourceRanges"):
        if name in spec:
            spec[name] = [of(family, text) for text in spec[name]]
    ingress = [{**entry, "ip": of(family, entry["ip"])} for entry in given.get("ingress", [])]
    service = {
        "metadata": {"name": given["name"], "namespace": "ns", "labels": given.get("labels", {})},
        "spec": {"clusterIP": address, "clusterIPs": [address], "ports": list(given["ports"]), **spec},
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    return codec.decode(Service, codec.encode(service)), _slice(given, family)


def _slice(given: Given, family: Family) -> EndpointSlice:
    value = {
        "metadata": {
            "name": given["name"],
            "namespace": "ns",
            "labels": {"kubernetes.io/service-name": given["name"]},
        },
        "addressType": "IPv6" if family == "ipv6" else "IPv4",
        "endpoints": [_endpoint(name, conditions, family) for name, conditions in given["endpoints"].items()],
        "ports": [
            {"name": port["name"], "port": port["targetPort"], "protocol": port["protocol"]} for port in given["ports"]
        ],
    }
    return codec.decode(EndpointSlice, codec.encode(value))


def _endpoint(name: str, given: Given, family: Family) -> Given:
    zones = given.get("zones", [])
    conditions = {key: value for key, value in given.items() if key != "zones"}
    return {
        "addresses": [of(family, ENDPOINTS[name])],
        "conditions": conditions,
        "nodeName": NODE_NAME if name in LOCAL else "node-2",
        "hints": {"forZones": [{"name": zone} for zone in zones]},
    }


def keyed(family: Family) -> Iterator[tuple[ObjectKey, Service, EndpointSlice]]:
    """Every Service and slice with a key for both."""
    for given in SERVICES:
        service, endpoint_slice = objects(given, family)
        yield ObjectKey("", "services", "ns", given["name"]), service, endpoint_slice


def fold(family: Family) -> Fold:
    """A fold that knows them all, and whose changes wait to be taken."""
    made = Fold(NODE_NAME, family, ZONE)
    for key, service, endpoint_slice in keyed(family):
        made.service(key, service)
        made.slice(key, endpoint_slice)
    return made
