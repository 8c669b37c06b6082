"""What is served: `/api`, `/apis` and the resource lists, plain and aggregated (KEP-3352)."""

from typing import Final

from podwire.services.apiserver.core.custom.catalogue import Catalogue
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.negotiation import clauses

VERSION: Final = {
    "major": "1",
    "minor": "33",
    "emulationMajor": "1",
    "emulationMinor": "33",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "32",
    "gitVersion": "v1.33.0",
    "gitCommit": "60a317eadfcb839692a68eab88b2096f4d708f4f",
    "gitTreeState": "clean",
    "buildDate": "2025-04-23T13:00:41Z",
    "goVersion": "go1.24.2",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_PREFERRED_ORDER: Final = (
    "apps",
    "events.k8s.io",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)


def groups(kinds: Catalogue) -> list[str]:
    """The named groups in upstream's order of preference."""
    known = dict.fromkeys(group for group, _ in kinds.group_versions if group)
    return sorted(known, key=lambda name: (_PREFERRED_ORDER.index(name) if name in _PREFERRED_ORDER else 99, name))


def _versions(kinds: Catalogue, group: str) -> list[str]:
    return [version for name, version in kinds.group_versions if name == group]


def core_versions(kinds: Catalogue) -> Json:
    """`/api`."""
    return {"kind": "APIVersions", "versions": _versions(kinds, ""), "serverAddressByClientCIDRs": []}


def group_list(kinds: Catalogue) -> Json:
    """`/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(kinds, name) for name in groups(kinds)]}


def _group(kinds: Catalogue, name: str) -> Json:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(kinds, name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def group(kinds: Catalogue, name: str) -> Json | None:
    """`/apis/<group>`."""
    if not name or name not in groups(kinds):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, name)}


def resource_list(kinds: Catalogue, group_name: str, version: str) -> Json | None:
    """`/api/v1` or `/apis/<group>/<version>`."""
    rows = kinds.in_group_version(group_name, version)
    if not rows:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group_name}/{version}" if group_name else version,
        "resources": [entry for kind in rows for entry in _resources(kind)],
    }


def _resources(kind: Kind) -> list[Json]:
    main: Json = {
        "name": kind.resource,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        main["shortNames"] = list(kind.short_names)
    if kind.categories:
        main["categories"] = list(kind.categories)
    entries = [main]
    for part in kind.subresources:
        entry: Json = {"name": f"{kind.resource}/{part.name}", "singularName": "", "namespaced": kind.namespaced}
        if part.kind:
            entry |= {"group": part.kind[0], "version": part.kind[1]}
        entries.append(entry | {"kind": part.kind[2] if part.kind else kind.kind, "verbs": list(part.verbs)})
    return entries


def aggregated_version(accept: str) -> str:
    """v2 or v2beta1 when the client asks for aggregated discovery before plain JSON, else ""."""
    for media, parameters in clauses(accept):
        if media == "application/json" and parameters.get("as") == "APIGroupDiscoveryList":
            if parameters.get("v") in ("v2", "v2beta1"):
                return parameters["v"]
        elif media in ("application/json", "*/*"):
            return ""
    return ""


def aggregated_type(version: str) -> str:
    """The content type of an aggregated answer."""
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def aggregated(kinds: Catalogue, core: bool, version: str) -> Json:
    """Every group at once; `core` for `/api`."""
    names = [""] if core else groups(kinds)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_aggregated_group(kinds, name) for name in names],
    }


def _aggregated_group(kinds: Catalogue, name: str) -> Json:
    versions = [
        {
            "version": version,
            "resources": [_aggregated_resource(kind) for kind in kinds.in_group_version(name, version)],
            "freshness": "Current",
        }
        for version in _versions(kinds, name)
    ]
    return {"metadata": {"name": name, "creationTimestamp": None} if name else {}, "versions": versions}


def _aggregated_resource(kind: Kind) -> Json:
    entry: Json = {
        "resource": kind.resource,
        "responseKind": _response_kind(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": _response_kind(*(part.kind or (kind.group, kind.version, kind.kind))),
                "verbs": list(part.verbs),
            }
            for part in kind.subresources
        ]
    return entry


def _response_kind(group_name: str, version: str, kind: str) -> Json:
    return {"group": group_name, "version": version, "kind": kind}
