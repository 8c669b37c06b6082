"""Defaults of Services, Endpoints, EndpointSlices, Ingresses and NetworkPolicies."""

from podwire.proto.kube.json_objects import items
from podwire.services.apiserver.core.json_types import Json


def _service_port(port: Json) -> None:
    port.setdefault("protocol", "TCP")
    if port.get("targetPort", 0) in (0, ""):
        port["targetPort"] = port.get("port", 0)


def service(value: Json) -> None:
    """`pkg/apis/core/v1/defaults.go` SetDefaults_Service; the IP families follow with the addresses."""
    spec = value.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    if spec.setdefault("sessionAffinity", "None") == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", 10_800)
    for port in items(spec, "ports"):
        _service_port(port)
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    else:
        spec.pop("externalTrafficPolicy", None)
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    value.setdefault("status", {}).setdefault("loadBalancer", {})


def endpoints(value: Json) -> None:
    """Ports are TCP."""
    for subset in items(value, "subsets"):
        for port in items(subset, "ports"):
            port.setdefault("protocol", "TCP")


def endpoint_slice(value: Json) -> None:
    """Ports are TCP and have a name, if an empty one (`pkg/apis/discovery/v1/defaults.go`)."""
    for port in items(value, "ports"):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
    value.setdefault("endpoints", [])


def ingress(value: Json) -> None:
    """A status with no addresses."""
    value.setdefault("status", {}).setdefault("loadBalancer", {})


def network_policy(value: Json) -> None:
    """Policy types follow from the rules; ports are TCP (`pkg/apis/networking/v1/defaults.go`)."""
    spec = value.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    spec.setdefault("podSelector", {})
    for rule in items(spec, "ingress") + items(spec, "egress"):
        for port in items(rule, "ports"):
            port.setdefault("protocol", "TCP")


def wants_node_ports(spec: Json) -> bool:
    """Whether a Service of this kind gets node ports."""
    if spec.get("type") == "LoadBalancer":
        return bool(spec.get("allocateLoadBalancerNodePorts", True))
    return spec.get("type") == "NodePort"
