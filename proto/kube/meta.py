"""ObjectMeta as components read it. Unknown fields are ignored; the real object keeps them."""

from typing import Final

import msgspec

_ACRONYMS: Final = {"ip": "IP", "ips": "IPs", "cidr": "CIDR", "cidrs": "CIDRs", "id": "ID"}


def json_name(name: str) -> str:
    """Kubernetes' spelling of a field: camelCase, acronyms in capitals except at the front."""
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(part, part.capitalize()) for part in rest)


class View(msgspec.Struct, frozen=True, rename=json_name, kw_only=True, omit_defaults=True):
    """Base of the typed views: Kubernetes' camelCase names, immutable, tolerant of unknown fields."""


class OwnerReference(View, frozen=True, kw_only=True):
    """Who owns an object."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class ObjectMeta(View, frozen=True, kw_only=True):
    """Name, labels and life cycle of an object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None


class Namespace(View, frozen=True, kw_only=True):
    """core/v1 Namespace, as a name and labels."""

    metadata: ObjectMeta


class ConfigMap(View, frozen=True, kw_only=True):
    """core/v1 ConfigMap."""

    metadata: ObjectMeta
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


class Secret(View, frozen=True, kw_only=True):
    """core/v1 Secret; values are base64."""

    metadata: ObjectMeta
    data: dict[str, str] | None = None
    type: str = "Opaque"
