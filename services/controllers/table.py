"""Every controller that is a fold and a decision, with the changes that it looks at."""

from collections.abc import Callable
from functools import partial

from podwire.proto.kube import resources
from podwire.proto.kube.json_objects import section
from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.controllers.core import (
    autoscalers,
    cronjobs,
    daemonsets,
    deployments,
    disruption,
    endpoints,
    endpointslices,
    garbage,
    jobs,
    namespaces,
    node_ipam,
    node_lifecycle,
    replicasets,
    statefulsets,
    volumes,
)
from podwire.services.controllers.core.cluster import Cluster, controller_of, is_going
from podwire.services.controllers.core.trigger_times import TriggerTimes
from podwire.services.controllers.core.writes import Json
from podwire.services.controllers.loop import WHOLE, Controller, Route


def _itself(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return [key]


def _whole(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return [WHOLE]


def _all_of(resource: Resource) -> Callable[[Cluster], list[ObjectKey]]:
    return lambda cluster: sorted(cluster[resource].objects)


def _everything(cluster: Cluster) -> list[ObjectKey]:
    return [WHOLE]


def _in_namespace(resource: Resource) -> Route:
    """All objects of a resource in the changed object's namespace."""

    def route(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
        shelf = cluster[resource]
        return [shelf.key(key.namespace, value["metadata"]["name"]) for value in shelf.in_namespace(key.namespace)]

    return route


def _owner(dependent: Resource, resource: Resource) -> Route:
    """The controlling owner; when the object is gone or has none, every possible owner in its namespace."""
    fallback = _in_namespace(resource)

    def route(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
        value = cluster[dependent].objects.get(key)
        owner = controller_of(value) if value is not None else {}
        if owner.get("kind") == resource.kind:
            return [cluster[resource].key(key.namespace, owner["name"])]
        return [] if owner else fallback(key, cluster)

    return route


def _all_daemon_sets(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return sorted(cluster[resources.DAEMON_SETS].objects)


def _named_service(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return [cluster[resources.SERVICES].key(key.namespace, key.name)]


def _service_of_slice(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    value = cluster[resources.ENDPOINT_SLICES].objects.get(key)
    if value is None:
        return _in_namespace(resources.SERVICES)(key, cluster)
    return [cluster[resources.SERVICES].key(key.namespace, endpointslices.service_of(value))]


def _namespace_of(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return [cluster[resources.NAMESPACES].key("", key.namespace)]


def _every_claim(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return sorted(cluster[resources.VOLUME_CLAIMS].objects)


def _claims_of_volume(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    """The claim that a volume is for; every claim that may take it when there is none."""
    volume = cluster[resources.VOLUMES].objects.get(key, {})
    reference = section(volume, "spec", "claimRef")
    if volume and not reference:
        return _every_claim(key, cluster)
    if reference:
        return [cluster[resources.VOLUME_CLAIMS].key(reference.get("namespace", ""), reference.get("name", ""))]
    return [each for each, claim in _claims(cluster) if section(claim, "spec").get("volumeName") == key.name]


def _claims(cluster: Cluster) -> list[tuple[ObjectKey, Json]]:
    return sorted(cluster[resources.VOLUME_CLAIMS].objects.items())


def _claims_of_pod(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    """Claims that are being deleted wait for the pods of their namespace."""
    return [each for each, claim in _claims(cluster) if each.namespace == key.namespace and is_going(claim)]


def _volumes_of_claim(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return [
        each
        for each, volume in sorted(cluster[resources.VOLUMES].objects.items())
        if (reference := section(volume, "spec", "claimRef"))
        and (reference.get("namespace"), reference.get("name")) == (key.namespace, key.name)
    ]


def _namespace_if_root_ca(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    return _namespace_of(key, cluster) if key.name == namespaces.ROOT_CA else []


def controllers(root_ca: str, cluster_cidr: str) -> list[Controller]:
    """The table, with the certificate and the networks of pods; made anew for each process: some decisions remember."""
    return [*_workloads(), *_bounds_and_storage(), *_network(cluster_cidr), *_life_and_death(root_ca)]


def _workloads() -> list[Controller]:
    """What makes pods."""
    return [
        Controller(
            "deployment",
            deployments.decide,
            {
                resources.DEPLOYMENTS: _itself,
                resources.REPLICA_SETS: _owner(resources.REPLICA_SETS, resources.DEPLOYMENTS),
                resources.PODS: _recreating,
            },
            _all_of(resources.DEPLOYMENTS),
        ),
        Controller(
            "replicaset",
            replicasets.decide,
            {
                resources.REPLICA_SETS: _itself,
                resources.PODS: _owner(resources.PODS, resources.REPLICA_SETS),
            },
            _all_of(resources.REPLICA_SETS),
        ),
        Controller(
            "statefulset",
            statefulsets.decide,
            {
                resources.STATEFUL_SETS: _itself,
                resources.PODS: _owner(resources.PODS, resources.STATEFUL_SETS),
                resources.CONTROLLER_REVISIONS: _owner(resources.CONTROLLER_REVISIONS, resources.STATEFUL_SETS),
                resources.VOLUME_CLAIMS: _in_namespace(resources.STATEFUL_SETS),
            },
            _all_of(resources.STATEFUL_SETS),
        ),
        Controller(
            "job",
            jobs.decide,
            {
                resources.JOBS: _itself,
                resources.PODS: _owner(resources.PODS, resources.JOBS),
            },
            _all_of(resources.JOBS),
        ),
        Controller(
            "cronjob",
            cronjobs.decide,
            {
                resources.CRON_JOBS: _itself,
                resources.JOBS: _owner(resources.JOBS, resources.CRON_JOBS),
            },
            _all_of(resources.CRON_JOBS),
        ),
        Controller(
            "daemonset",
            daemonsets.decide,
            {
                resources.DAEMON_SETS: _itself,
                resources.CONTROLLER_REVISIONS: _owner(resources.CONTROLLER_REVISIONS, resources.DAEMON_SETS),
                resources.PODS: _owner(resources.PODS, resources.DAEMON_SETS),
                resources.NODES: _all_daemon_sets,
            },
            _all_of(resources.DAEMON_SETS),
        ),
    ]


def _bounds_and_storage() -> list[Controller]:
    """What bounds and feeds them."""
    return [
        Controller(
            "disruption",
            disruption.decide,
            {
                resources.DISRUPTION_BUDGETS: _itself,
                resources.PODS: _in_namespace(resources.DISRUPTION_BUDGETS),
                resources.DEPLOYMENTS: _in_namespace(resources.DISRUPTION_BUDGETS),
                resources.REPLICA_SETS: _in_namespace(resources.DISRUPTION_BUDGETS),
                resources.STATEFUL_SETS: _in_namespace(resources.DISRUPTION_BUDGETS),
            },
            _all_of(resources.DISRUPTION_BUDGETS),
        ),
        Controller(
            "horizontal-pod-autoscaler",
            autoscalers.decide,
            {
                resources.AUTOSCALERS: _itself,
                resources.DEPLOYMENTS: _in_namespace(resources.AUTOSCALERS),
                resources.REPLICA_SETS: _in_namespace(resources.AUTOSCALERS),
                resources.STATEFUL_SETS: _in_namespace(resources.AUTOSCALERS),
            },
            _all_of(resources.AUTOSCALERS),
        ),
        Controller(
            "persistentvolume-claim",
            volumes.decide_claim,
            {
                resources.VOLUME_CLAIMS: _itself,
                resources.VOLUMES: _claims_of_volume,
                resources.STORAGE_CLASSES: _every_claim,
                resources.PODS: _claims_of_pod,
            },
            _all_of(resources.VOLUME_CLAIMS),
        ),
        Controller(
            "persistentvolume",
            volumes.decide_volume,
            {resources.VOLUMES: _itself, resources.VOLUME_CLAIMS: _volumes_of_claim},
            _all_of(resources.VOLUMES),
        ),
    ]


def _network(cluster_cidr: str) -> list[Controller]:
    """Endpoints and pod CIDRs."""
    return [
        Controller(
            "endpoint",
            partial(endpoints.decide, TriggerTimes()),
            {
                resources.SERVICES: _itself,
                resources.PODS: _in_namespace(resources.SERVICES),
                resources.ENDPOINTS: _named_service,
            },
            _all_of(resources.SERVICES),
        ),
        Controller(
            "endpointslice",
            partial(endpointslices.decide, TriggerTimes()),
            {
                resources.SERVICES: _itself,
                resources.PODS: _in_namespace(resources.SERVICES),
                resources.ENDPOINT_SLICES: _service_of_slice,
            },
            _all_of(resources.SERVICES),
        ),
        Controller(
            "node-ipam",
            node_ipam.node_ipam(cluster_cidr),
            {resources.NODES: _whole, resources.IP_ADDRESSES: _whole},
            _everything,
        ),
    ]


def _life_and_death(root_ca: str) -> list[Controller]:
    """Nodes' and objects' ends, and what every namespace has."""
    return [
        Controller(
            "node-lifecycle",
            node_lifecycle.NodeLifecycle().decide,
            {resources.NODES: _whole, resources.LEASES: _whole, resources.PODS: _whole},
            _everything,
        ),
        Controller(
            "pod-garbage-collector",
            garbage.PodCollector().decide,
            {resources.NODES: _whole, resources.PODS: _whole},
            _everything,
        ),
        Controller("event-expiry", garbage.expired_events, {resources.EVENTS: _whole}, _everything),
        Controller(
            "service-account",
            namespaces.service_account,
            {resources.NAMESPACES: _itself, resources.SERVICE_ACCOUNTS: _namespace_of},
            _all_of(resources.NAMESPACES),
        ),
        Controller(
            "root-ca-certificate-publisher",
            namespaces.root_ca(root_ca),
            {resources.NAMESPACES: _itself, resources.CONFIG_MAPS: _namespace_if_root_ca},
            _all_of(resources.NAMESPACES),
        ),
    ]


def _recreating(key: ObjectKey, cluster: Cluster) -> list[ObjectKey]:
    """A pod that goes may be what a Recreate roll-over waits for."""
    if key in cluster[resources.PODS].objects:
        return []
    return [
        cluster[resources.DEPLOYMENTS].key(key.namespace, value["metadata"]["name"])
        for value in cluster[resources.DEPLOYMENTS].in_namespace(key.namespace)
        if value.get("spec", {}).get("strategy", {}).get("type") == "Recreate"
    ]
