"""What every namespace gets: its `default` ServiceAccount and the certificate that pods verify the API server with.

Source: kubernetes `pkg/controller/serviceaccount/serviceaccounts_controller.go`,
`pkg/controller/certificates/rootcacertpublisher/publisher.go`.
"""

from collections.abc import Callable
from typing import Final

from podwire.proto.kube.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.writes import Create, Patch, Plan

ROOT_CA: Final = "kube-root-ca.crt"
_DESCRIPTION: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def service_account(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """`default` in the namespace that `key` names."""
    plan = Plan()
    namespace = cluster[NAMESPACES].objects.get(key)
    if namespace is None or is_going(namespace):
        return plan
    if cluster[SERVICE_ACCOUNTS].get(key.name, "default") is None:
        plan.writes.append(Create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": key.name}}))
    return plan


def root_ca(certificate: str) -> Callable[[ObjectKey, Cluster, int, RandomBits], Plan]:
    """A decision that keeps `kube-root-ca.crt` in every namespace as it should be."""

    def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
        plan, namespace = Plan(), cluster[NAMESPACES].objects.get(key)
        if namespace is None or is_going(namespace):
            return plan
        found, data = cluster[CONFIG_MAPS].get(key.name, ROOT_CA), {"ca.crt": certificate}
        if found is None:
            metadata = {
                "name": ROOT_CA,
                "namespace": key.name,
                "annotations": {"kubernetes.io/description": _DESCRIPTION},
            }
            plan.writes.append(Create(CONFIG_MAPS, {"metadata": metadata, "data": data}))
        elif found.get("data") != data:
            rest = {name: None for name in found.get("data") or {} if name not in data}
            plan.writes.append(Patch(CONFIG_MAPS, key.name, ROOT_CA, {"data": rest | data}))
        return plan

    return decide


def terminating(cluster: Cluster) -> list[str]:
    """Namespaces whose content has to go."""
    return [value["metadata"]["name"] for value in cluster[NAMESPACES].all() if is_going(value)]
