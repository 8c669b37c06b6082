"""Takes the protobuf messages that the served kinds reach into one packaged file.

    python -m podwire.scripts.take_protobuf_fields FIELDS.json KUBECTL

FIELDS.json says number, JSON name, cardinality and type of each field. What Go's decoder makes of a zero (absent, or
kept because the field is a pointer or has no omitempty) and which messages are inlined is in the types of a kubectl
v1.33 executable.
"""

import gzip
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from podwire.scripts.go_types import GoField, protobuf_structs
from podwire.services.apiserver.core.kinds import BUILT_IN
from podwire.services.apiserver.core.protobuf.messages import message_name

_TARGET: Final = Path(__file__).resolve().parent.parent / "services/apiserver/definitions/protobuf-v1.33.json.gz"
_META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1"
_ALSO: Final = (
    "k8s.io.api.autoscaling.v1.Scale",
    "k8s.io.api.core.v1.Binding",
    "k8s.io.api.authentication.v1.TokenRequest",
    "k8s.io.api.authentication.v1.TokenReview",
    "k8s.io.api.policy.v1.Eviction",
    *(f"{_META}.{name}" for name in ("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "DeleteOptions")),
    *(f"{_META}.{name}" for name in ("PartialObjectMetadata", "PartialObjectMetadataList", "Status", "WatchEvent")),
    "k8s.io.apimachinery.pkg.runtime.Unknown",
)

type Fields = dict[str, list[str]]


def _reached(messages: dict[str, Fields], roots: list[str]) -> list[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in messages and name not in found:
            found.add(name)
            waiting += [field[2] for field in messages[name].values()]
    return sorted(found)


def _zero(field: GoField | None) -> str:
    """What a zero on the wire is in JSON: `absent`, or `kept`; or the message's fields are `inline`."""
    if field is None:
        return "kept"
    name, *options = field.json.split(",")
    if "inline" in options or not name:
        return "inline"
    return "absent" if "omitempty" in options and not field.pointer else "kept"


def _with_zeros(name: str, fields: Fields, structs: dict[str, list[GoField]]) -> Fields:
    known = {field.number: field for field in structs.get(_go_name(name), [])}
    taken = {}
    for number, (json, cardinality, kind) in sorted(fields.items(), key=lambda item: int(item[0])):
        field = known.get(int(number))
        title = field.json.partition(",")[0].strip("-") if field else ""
        taken[number] = [title or json, cardinality, kind, _zero(field)]
    return taken


def _go_name(message: str) -> str:
    package, _, name = message.rpartition(".")
    return "k8s.io/" + package.removeprefix("k8s.io.").replace(".", "/") + "." + name


def main(arguments: list[str]) -> None:
    """Writes the packaged file."""
    messages: dict[str, Fields] = msgspec.json.decode(Path(arguments[0]).read_bytes())["messages"]
    structs = protobuf_structs(Path(arguments[1]))
    kinds = [message_name(kind.definition) for kind in BUILT_IN]
    names = _reached(messages, [*kinds, *(f"{name}List" for name in kinds), *_ALSO])
    taken: Any = {name: _with_zeros(name, messages[name], structs) for name in names}
    _TARGET.write_bytes(gzip.compress(msgspec.json.encode(taken), 9, mtime=0))
    unknown = [name for name in names if _go_name(name) not in structs]
    print(f"{len(taken)} messages, {_TARGET.stat().st_size} bytes; not among the executable's types: {unknown}")


if __name__ == "__main__":
    main(sys.argv[1:])
