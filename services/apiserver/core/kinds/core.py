"""The core group, events and leases."""

from typing import Final

from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.defaults import cluster as cluster_defaults
from podwire.services.apiserver.core.defaults import network as network_defaults
from podwire.services.apiserver.core.defaults import pods as pod_defaults
from podwire.services.apiserver.core.defaults import storage as storage_defaults
from podwire.services.apiserver.core.kinds.kind import STATUS, Kind, Subresource, readers
from podwire.services.apiserver.core.printers import cluster as cluster_printers
from podwire.services.apiserver.core.printers import network as network_printers
from podwire.services.apiserver.core.printers import pods as pod_printers
from podwire.services.apiserver.core.printers import storage as storage_printers
from podwire.services.apiserver.core.printers.table import Printer
from podwire.services.apiserver.core.selectors import field_reader
from podwire.services.apiserver.core.validation import cluster as cluster_rules
from podwire.services.apiserver.core.validation import network as network_rules
from podwire.services.apiserver.core.validation import pods as pod_rules
from podwire.services.apiserver.core.validation import storage as storage_rules

_TOKEN: Final = Subresource("token", ("create",), ("authentication.k8s.io", "v1", "TokenRequest"))
_PROXIED: Final = ("create", "delete", "get", "patch", "update")
_POD_PARTS: Final = (
    Subresource("attach", ("create", "get"), ("", "v1", "PodAttachOptions")),
    Subresource("binding", ("create",), ("", "v1", "Binding")),
    Subresource("ephemeralcontainers"),
    Subresource("eviction", ("create",), ("policy", "v1", "Eviction")),
    Subresource("exec", ("create", "get"), ("", "v1", "PodExecOptions")),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), ("", "v1", "PodPortForwardOptions")),
    Subresource("proxy", _PROXIED, ("", "v1", "PodProxyOptions")),
    STATUS,
)
_EVENT_FIELDS: Final = readers(
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "type",
) | {"source": field_reader("source.component")}
_POD_FIELDS: Final = readers(
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)


def _core(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    definition = f"io.k8s.api.core.v1.{kind}"
    return Kind("", "v1", resource, kind, definition, printer, **more)  # type: ignore[arg-type]  # rows below


KINDS: Final[tuple[Kind, ...]] = (
    _core(
        "configmaps",
        "ConfigMap",
        cluster_printers.CONFIG_MAP,
        short_names=("cm",),
        validate=cluster_rules.config_map,
    ),
    _core(
        "endpoints",
        "Endpoints",
        network_printers.ENDPOINTS,
        short_names=("ep",),
        defaults=network_defaults.endpoints,
        validate=network_rules.endpoints,
    ),
    _core(
        "events",
        "Event",
        cluster_printers.EVENT,
        short_names=("ev",),
        defaults=cluster_defaults.event,
        validate=cluster_rules.event,
        fields=_EVENT_FIELDS,
    ),
    _core(
        "limitranges",
        "LimitRange",
        cluster_printers.DEFAULT,
        short_names=("limits",),
        caution="LimitRange is stored, but podwire does not enforce it",
    ),
    _core(
        "namespaces",
        "Namespace",
        cluster_printers.NAMESPACE,
        namespaced=False,
        short_names=("ns",),
        subresources=(Subresource("finalize", ("update",)), STATUS),
        defaults=cluster_defaults.namespace,
        name_rule=names.dns1123_label,
        fields=readers("status.phase"),
    ),
    _core(
        "nodes",
        "Node",
        cluster_printers.NODE,
        namespaced=False,
        short_names=("no",),
        subresources=(Subresource("proxy", _PROXIED, ("", "v1", "NodeProxyOptions")), STATUS),
        defaults=cluster_defaults.node,
        validate=cluster_rules.node,
        fields=readers("spec.unschedulable"),
    ),
    _core(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        storage_printers.CLAIM,
        short_names=("pvc",),
        subresources=(STATUS,),
        defaults=storage_defaults.claim,
        on_create=storage_defaults.new_claim,
        validate=storage_rules.claim,
    ),
    _core(
        "persistentvolumes",
        "PersistentVolume",
        storage_printers.VOLUME,
        namespaced=False,
        short_names=("pv",),
        subresources=(STATUS,),
        defaults=storage_defaults.volume,
        on_create=storage_defaults.new_volume,
        validate=storage_rules.volume,
    ),
    _core(
        "pods",
        "Pod",
        pod_printers.POD,
        short_names=("po",),
        categories=("all",),
        subresources=_POD_PARTS,
        defaults=pod_defaults.pod,
        validate=pod_rules.validate,
        fields=_POD_FIELDS,
        counts_generation=True,
    ),
    _core(
        "resourcequotas",
        "ResourceQuota",
        cluster_printers.RESOURCE_QUOTA,
        short_names=("quota",),
        caution="ResourceQuota is stored, but podwire neither counts nor enforces it",
        subresources=(STATUS,),
    ),
    _core(
        "secrets",
        "Secret",
        cluster_printers.SECRET,
        defaults=cluster_defaults.secret,
        validate=cluster_rules.secret,
        fields=readers("type"),
    ),
    _core(
        "serviceaccounts",
        "ServiceAccount",
        cluster_printers.SERVICE_ACCOUNT,
        short_names=("sa",),
        subresources=(_TOKEN,),
    ),
    _core(
        "services",
        "Service",
        network_printers.SERVICE,
        short_names=("svc",),
        categories=("all",),
        subresources=(Subresource("proxy", _PROXIED, ("", "v1", "ServiceProxyOptions")), STATUS),
        defaults=network_defaults.service,
        validate=network_rules.service,
        name_rule=names.dns1035_label,
        fields=readers("spec.clusterIP", "spec.type"),
    ),
)

OTHERS: Final[tuple[Kind, ...]] = (
    Kind(
        "coordination.k8s.io",
        "v1",
        "leases",
        "Lease",
        "io.k8s.api.coordination.v1.Lease",
        cluster_printers.LEASE,
        validate=cluster_rules.lease,
    ),
    Kind(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        "io.k8s.api.events.v1.Event",
        cluster_printers.EVENT,
        short_names=("ev",),
        defaults=cluster_defaults.event,
        validate=cluster_rules.event,
        fields=_EVENT_FIELDS,
        stored_as=("", "events"),
    ),
    Kind(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        "io.k8s.api.scheduling.v1.PriorityClass",
        cluster_printers.PRIORITY_CLASS,
        namespaced=False,
        short_names=("pc",),
        defaults=cluster_defaults.priority_class,
        validate=cluster_rules.priority_class,
        counts_generation=True,
    ),
    Kind(
        "storage.k8s.io",
        "v1",
        "storageclasses",
        "StorageClass",
        "io.k8s.api.storage.v1.StorageClass",
        storage_printers.STORAGE_CLASS,
        namespaced=False,
        short_names=("sc",),
        defaults=storage_defaults.storage_class,
        validate=storage_rules.storage_class,
    ),
)
