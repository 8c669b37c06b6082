"""A ServiceAccount for every namespace (kubernetes `pkg/controller/serviceaccount/serviceaccounts_controller.go`)."""

from podwire.proto.kube.resources import NAMESPACES, SERVICE_ACCOUNTS
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.writes import Create, Plan


def service_account(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """`default` in the namespace that `key` names."""
    plan = Plan()
    namespace = cluster[NAMESPACES].objects.get(key)
    if namespace is None or is_going(namespace):
        return plan
    if cluster[SERVICE_ACCOUNTS].get(key.name, "default") is None:
        plan.writes.append(Create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": key.name}}))
    return plan


def terminating(cluster: Cluster) -> list[str]:
    """Namespaces whose content has to go."""
    return [value["metadata"]["name"] for value in cluster[NAMESPACES].all() if is_going(value)]
