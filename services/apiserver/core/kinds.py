"""Every kind that is served: a further kind is one more row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.defaults import cluster as cluster_defaults
from podwire.services.apiserver.core.defaults import network as network_defaults
from podwire.services.apiserver.core.defaults import pods as pod_defaults
from podwire.services.apiserver.core.defaults import workloads as workload_defaults
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers import cluster as cluster_printers
from podwire.services.apiserver.core.printers import network as network_printers
from podwire.services.apiserver.core.printers import pods as pod_printers
from podwire.services.apiserver.core.printers import workloads as workload_printers
from podwire.services.apiserver.core.printers.table import Printer
from podwire.services.apiserver.core.selectors import FieldReader, field_reader
from podwire.services.apiserver.core.validation import cluster as cluster_rules
from podwire.services.apiserver.core.validation import network as network_rules
from podwire.services.apiserver.core.validation import pods as pod_rules
from podwire.services.apiserver.core.validation import workloads as workload_rules
from podwire.services.apiserver.core.validation.metadata import NameRule

type Defaulter = Callable[[Json], None]
type Validator = Callable[[Json, Json | None, FieldErrors], None]

_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource in discovery: its name, its verbs, and the kind it speaks if that is another one."""

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One served resource."""

    group: str
    version: str
    resource: str
    kind: str
    definition: str
    printer: Printer
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    defaults: Defaulter = cluster_defaults.nothing
    validate: Validator = cluster_rules.nothing
    name_rule: NameRule = names.dns1123_subdomain
    counts_generation: bool = False
    fields: Mapping[str, FieldReader] = field(default_factory=dict)
    stored_as: tuple[str, str] | None = None
    """Group and resource of the storage, where it is another kind's (events.k8s.io)."""

    @property
    def singular(self) -> str:
        """The singular name."""
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done with the resource itself."""
        return _VERBS

    @property
    def storage(self) -> tuple[str, str]:
        """Group and resource under which the objects are stored."""
        return self.stored_as or (self.group, self.resource)

    def has(self, subresource: str) -> bool:
        """Whether a subresource is served."""
        return any(entry.name == subresource for entry in self.subresources)

    def selectable(self) -> dict[str, FieldReader]:
        """Fields that a field selector may name."""
        known = {name: field_reader(name) for name in ("metadata.name", "metadata.namespace")}
        return known | dict(self.fields)


def _readers(*paths: str) -> dict[str, FieldReader]:
    return {path: field_reader(path) for path in paths}


_STATUS: Final = Subresource("status")
_SCALE: Final = Subresource("scale", kind=("autoscaling", "v1", "Scale"))
_POD_PARTS: Final = (
    Subresource("attach", ("create", "get"), ("", "v1", "PodAttachOptions")),
    Subresource("binding", ("create",), ("", "v1", "Binding")),
    Subresource("eviction", ("create",), ("policy", "v1", "Eviction")),
    Subresource("exec", ("create", "get"), ("", "v1", "PodExecOptions")),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), ("", "v1", "PodPortForwardOptions")),
    _STATUS,
)
_CORE: Final = "io.k8s.api.core.v1."
_APPS: Final = "io.k8s.api.apps.v1."
_NETWORKING: Final = "io.k8s.api.networking.v1."
_RBAC: Final = "io.k8s.api.rbac.v1."
_EVENT_FIELDS: Final = _readers(
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
_POD_FIELDS: Final = _readers(
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_RBAC_GROUP: Final = "rbac.authorization.k8s.io"


def _core(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    return Kind("", "v1", resource, kind, _CORE + kind, printer, **more)  # type: ignore[arg-type]  # rows below


def _apps(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    return Kind(
        "apps",
        "v1",
        resource,
        kind,
        _APPS + kind,
        printer,
        categories=("all",),
        counts_generation=True,
        **more,  # type: ignore[arg-type]  # see above
    )


def _networking(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    return Kind(
        "networking.k8s.io",
        "v1",
        resource,
        kind,
        _NETWORKING + kind,
        printer,
        **more,  # type: ignore[arg-type]  # see above
    )


def _rbac(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    return Kind(
        _RBAC_GROUP,
        "v1",
        resource,
        kind,
        _RBAC + kind,
        printer,
        name_rule=names.path_segment,
        **more,  # type: ignore[arg-type]  # see above
    )


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
        "namespaces",
        "Namespace",
        cluster_printers.NAMESPACE,
        namespaced=False,
        short_names=("ns",),
        subresources=(Subresource("finalize", ("update",)), _STATUS),
        defaults=cluster_defaults.namespace,
        name_rule=names.dns1123_label,
        fields=_readers("status.phase"),
    ),
    _core(
        "nodes",
        "Node",
        cluster_printers.NODE,
        namespaced=False,
        short_names=("no",),
        subresources=(_STATUS,),
        defaults=cluster_defaults.node,
        validate=cluster_rules.node,
        fields=_readers("spec.unschedulable"),
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
        "secrets",
        "Secret",
        cluster_printers.SECRET,
        defaults=cluster_defaults.secret,
        validate=cluster_rules.secret,
        fields=_readers("type"),
    ),
    _core("serviceaccounts", "ServiceAccount", cluster_printers.SERVICE_ACCOUNT, short_names=("sa",)),
    _core(
        "services",
        "Service",
        network_printers.SERVICE,
        short_names=("svc",),
        categories=("all",),
        subresources=(_STATUS,),
        defaults=network_defaults.service,
        validate=network_rules.service,
        name_rule=names.dns1035_label,
        fields=_readers("spec.clusterIP", "spec.type"),
    ),
    _apps(
        "daemonsets",
        "DaemonSet",
        workload_printers.DAEMON_SET,
        short_names=("ds",),
        subresources=(_STATUS,),
        defaults=workload_defaults.daemon_set,
        validate=workload_rules.daemon_set,
    ),
    _apps(
        "deployments",
        "Deployment",
        workload_printers.DEPLOYMENT,
        short_names=("deploy",),
        subresources=(_SCALE, _STATUS),
        defaults=workload_defaults.deployment,
        validate=workload_rules.deployment,
    ),
    _apps(
        "replicasets",
        "ReplicaSet",
        workload_printers.REPLICA_SET,
        short_names=("rs",),
        subresources=(_SCALE, _STATUS),
        defaults=workload_defaults.replica_set,
        validate=workload_rules.replica_set,
        fields=_readers("status.replicas"),
    ),
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
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        "io.k8s.api.discovery.v1.EndpointSlice",
        network_printers.ENDPOINT_SLICE,
        defaults=network_defaults.endpoint_slice,
        validate=network_rules.endpoint_slice,
        counts_generation=True,
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
    _networking(
        "ingressclasses",
        "IngressClass",
        network_printers.INGRESS_CLASS,
        namespaced=False,
        counts_generation=True,
    ),
    _networking(
        "ingresses",
        "Ingress",
        network_printers.INGRESS,
        short_names=("ing",),
        subresources=(_STATUS,),
        defaults=network_defaults.ingress,
        validate=network_rules.ingress,
        counts_generation=True,
    ),
    _networking(
        "ipaddresses",
        "IPAddress",
        network_printers.IP_ADDRESS,
        namespaced=False,
        short_names=("ip",),
        validate=cluster_rules.ip_address,
        name_rule=names.canonical_ip,
        fields=_readers("spec.parentRef.name"),
    ),
    _networking(
        "networkpolicies",
        "NetworkPolicy",
        network_printers.NETWORK_POLICY,
        short_names=("netpol",),
        defaults=network_defaults.network_policy,
        validate=network_rules.network_policy,
        counts_generation=True,
    ),
    _rbac(
        "clusterrolebindings",
        "ClusterRoleBinding",
        cluster_printers.BINDING,
        namespaced=False,
        defaults=cluster_defaults.role_binding,
        validate=cluster_rules.role_binding,
    ),
    _rbac("clusterroles", "ClusterRole", cluster_printers.ROLE, namespaced=False),
    _rbac(
        "rolebindings",
        "RoleBinding",
        cluster_printers.BINDING,
        defaults=cluster_defaults.role_binding,
        validate=cluster_rules.role_binding,
    ),
    _rbac("roles", "Role", cluster_printers.ROLE),
)

BY_RESOURCE: Final = {(kind.group, kind.version, kind.resource): kind for kind in KINDS}
BY_STORAGE: Final = {kind.storage: kind for kind in KINDS if kind.stored_as is None}
GROUP_VERSIONS: Final = tuple(dict.fromkeys((kind.group, kind.version) for kind in KINDS))


def find(group: str, version: str, resource: str) -> Kind | None:
    """The row of a resource, if it is served."""
    return BY_RESOURCE.get((group, version, resource))


def in_group_version(group: str, version: str) -> list[Kind]:
    """The rows of one group and version."""
    return [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
