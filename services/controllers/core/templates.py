"""Pod templates: their hash, and the pods that are made from them.

Source: kubernetes `pkg/controller/controller_utils.go` (ComputeHash, GetPodFromTemplate), apimachinery `util/rand`
(SafeEncodeString). Our hash is FNV-1a too, but of the template's canonical JSON, not of Go's dump of it.
"""

from functools import lru_cache
from typing import Final

import msgspec

from podwire.proto.kube.json_objects import copy_json, section
from podwire.proto.kube.resources import Resource
from podwire.services.controllers.core.cluster import owner_reference
from podwire.services.controllers.core.writes import Json

_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_PRIME: Final = 16777619
_BASIS: Final = 2166136261


@lru_cache(512)
def fnv32a(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = _BASIS
    for byte in data:
        value = ((value ^ byte) * _PRIME) & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    """Text in the vowel-free alphabet (rand.SafeEncodeString)."""
    return "".join(_ALPHABET[ord(mark) % len(_ALPHABET)] for mark in text)


def template_hash(value: object) -> str:
    """The hash that names a template's revision."""
    return safe_encode(str(fnv32a(_ENCODER.encode(value))))


def short_hash(*parts: str) -> str:
    """Five characters that follow from the parts."""
    number = fnv32a("\0".join(parts).encode())
    return "".join(_ALPHABET[number // len(_ALPHABET) ** place % len(_ALPHABET)] for place in range(5))


def pod_from(resource: Resource, owner: Json, suffix: str, extra_labels: dict[str, str] | None = None) -> Json:
    """A pod of an owner's template."""
    template, meta = section(owner, "spec", "template"), owner["metadata"]
    given = section(template, "metadata")
    metadata: Json = {
        "name": f"{meta['name'][:57]}-{suffix}",
        "generateName": f"{meta['name']}-",
        "namespace": meta["namespace"],
        "labels": {**section(given, "labels"), **(extra_labels or {})},
        "ownerReferences": [owner_reference(resource, owner)],
    }
    if section(given, "annotations"):
        metadata["annotations"] = dict(given["annotations"])
    return {"metadata": metadata, "spec": copy_json(section(template, "spec"))}
