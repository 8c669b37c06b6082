"""What every cluster has from the start: namespaces, roles, priorities, the `kubernetes` Service and its endpoints.

Source: kubernetes `pkg/controlplane/controller/{systemnamespaces,kubernetesservice}`,
`pkg/controlplane/reconcilers/endpointsadapter.go`.
"""

from typing import Final

from podwire.proto.kube.families import Network, family_of, networks
from podwire.proto.kube.json_objects import items, section
from podwire.proto.messages.api import ApiRequest
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import bootstrap_roles, rbac
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.store import Store
from podwire.services.apiserver.core.validation.cluster import SYSTEM_PRIORITIES

NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
_SERVICE_CIDRS: Final = "/apis/networking.k8s.io/v1/servicecidrs"
_SECURE_PORT: Final = 6443
_ROLE: Final = "node-role.kubernetes.io/control-plane"
_LABELS: Final = {"component": "apiserver", "provider": "kubernetes"}


def missing(store: Store, service_range: str) -> list[ApiRequest]:
    """The requests that bring about what is not there; none when all is there. `service_range` is where ClusterIPs
    come from: a network, or one of each family, the primary family's first."""
    ranges = networks(service_range)
    if wanted := _service_cidr(store, ranges):
        return wanted
    wanted = [_create("/api/v1/namespaces", _namespace(name)) for name in NAMESPACES if not _has_namespace(store, name)]
    if wanted:
        return wanted
    wanted = [*_priorities(store), *_roles(store)]
    if wanted:
        return wanted
    if store.get(ObjectKey("", "services", "default", "kubernetes")) is None:
        return [_create("/api/v1/namespaces/default/services", _service(str(ranges[0][1])))]
    addresses = _control_plane_addresses(store, family_of(str(ranges[0])))
    return [*_endpoints(store, addresses), *_endpoint_slice(store, addresses)] if addresses else []


def _service_cidr(store: Store, ranges: tuple[Network, ...]) -> list[ApiRequest]:
    """The range that the API server was started with (`pkg/controlplane/controller/defaultservicecidr`)."""
    existing = store.get(ObjectKey("networking.k8s.io", "servicecidrs", "", "kubernetes"))
    body: Json = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [str(network) for network in ranges]},
    }
    if existing is None:
        return [_create(_SERVICE_CIDRS, body)]
    if items(section(existing, "status"), "conditions"):
        return []
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": existing["metadata"]["creationTimestamp"],
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    status = {**existing, "status": {"conditions": [condition]}}
    return [ApiRequest(method="PUT", path=f"{_SERVICE_CIDRS}/kubernetes/status", body=to_json(status))]


def _has_namespace(store: Store, name: str) -> bool:
    return store.get(ObjectKey("", "namespaces", "", name)) is not None


def _create(path: str, body: Json) -> ApiRequest:
    return ApiRequest(method="POST", path=path, body=to_json(body))


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _priorities(store: Store) -> list[ApiRequest]:
    """The two system PriorityClasses (`pkg/apis/scheduling/v1/helpers.go`)."""
    group, path = "scheduling.k8s.io", "/apis/scheduling.k8s.io/v1/priorityclasses"
    bodies = [
        {
            "apiVersion": f"{group}/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": f"Used for {name.removeprefix('system-')} pods.",
        }
        for name, value in SYSTEM_PRIORITIES.items()
        if store.get(ObjectKey(group, "priorityclasses", "", name)) is None
    ]
    return [_create(path, body) for body in bodies]


def _roles(store: Store) -> list[ApiRequest]:
    found: list[ApiRequest] = []
    for resource, values in (
        ("clusterroles", bootstrap_roles.cluster_roles()),
        ("clusterrolebindings", bootstrap_roles.cluster_role_bindings()),
    ):
        path = f"/apis/{rbac.GROUP}/v1/{resource}"
        for value in values:
            if store.get(ObjectKey(rbac.GROUP, resource, "", value["metadata"]["name"])) is None:
                found.append(_create(path, value))
    return found


def _service(address: str) -> Json:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": _SECURE_PORT}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "labels": dict(_LABELS)},
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": [port]},
    }


def _control_plane_addresses(store: Store, family: str) -> list[str]:
    nodes = [node for node in store.objects(("", "nodes")) if _ROLE in section(node, "metadata", "labels")]
    found = [
        str(address["address"])
        for node in nodes
        for address in items(section(node, "status"), "addresses")
        if address.get("type") == "InternalIP" and family_of(str(address.get("address"))) == family
    ]
    return sorted(found)


def _endpoints(store: Store, addresses: list[str]) -> list[ApiRequest]:
    body: Json = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [
            {
                "addresses": [{"ip": address} for address in addresses],
                "ports": [{"name": "https", "port": _SECURE_PORT, "protocol": "TCP"}],
            }
        ],
    }
    return _reconcile(store, ObjectKey("", "endpoints", "default", "kubernetes"), "/api/v1", body, "subsets")


def _endpoint_slice(store: Store, addresses: list[str]) -> list[ApiRequest]:
    body: Json = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": family_of(addresses[0]),
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "https", "port": _SECURE_PORT, "protocol": "TCP"}],
    }
    key = ObjectKey("discovery.k8s.io", "endpointslices", "default", "kubernetes")
    return _reconcile(store, key, "/apis/discovery.k8s.io/v1", body, "endpoints")


def _reconcile(store: Store, key: ObjectKey, root: str, body: Json, field: str) -> list[ApiRequest]:
    existing = store.get(key)
    path = f"{root}/namespaces/default/{key.resource}"
    if existing is None:
        return [_create(path, body)]
    if existing.get(field) == body[field]:
        return []
    return [ApiRequest(method="PUT", path=f"{path}/kubernetes", body=to_json(body))]
