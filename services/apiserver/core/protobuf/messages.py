"""The messages of the served kinds: which field number is which field in JSON.

The packaged file is made by `scripts/take_protobuf_fields.py`.
"""

import gzip
from functools import cache, cached_property
from importlib import resources
from typing import Final, NamedTuple

import msgspec

from podwire.services.apiserver.core.kinds import BUILT_IN

META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1"
SCALARS: Final = ("string", "bytes", "bool", "int32", "int64", "double")


class Field(NamedTuple):
    """A field of a message."""

    number: int
    name: str
    cardinality: str
    """`one`, `list` or `map` (whose keys are text)."""
    type: str
    """A scalar or the name of a message."""
    zero: str
    """What Go's JSON has for a zero on the wire: `absent` or `kept`; `inline`: the fields of the message stand here."""


class Message:
    """A message with its fields by number, and by name in the order of numbers, as Go writes them."""

    def __init__(self, name: str, fields: list[Field]) -> None:
        self.name, self.fields = name, fields
        self.title = name.rpartition(".")[2]

    @cached_property
    def by_number(self) -> dict[int, Field]:
        """The fields by their numbers."""
        return {field.number: field for field in self.fields}


@cache
def _packaged() -> dict[str, dict[str, list[str]]]:
    packed = resources.files("podwire.services.apiserver").joinpath("definitions/protobuf-v1.33.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=dict[str, dict[str, list[str]]])


def names() -> list[str]:
    """The names of all packaged messages."""
    return list(_packaged())


@cache
def message(name: str) -> Message:
    """A message by its name; raises KeyError."""
    return Message(name, [Field(int(number), *rest) for number, rest in _packaged()[name].items()])


def message_name(definition: str) -> str:
    """The message of an OpenAPI definition."""
    return definition.replace("io.k8s.", "k8s.io.", 1)


@cache
def message_of(api_version: str, kind: str) -> Message | None:
    """The message of a kind, or None where there is none: a group's own first, then what every group has."""
    group, _, version = api_version.rpartition("/")
    packages = [message_name(row.definition) for row in BUILT_IN if (row.group, row.version) == (group, version)]
    for package in [*(name.rpartition(".")[0] for name in packages[:1]), META]:
        if f"{package}.{kind}" in _packaged() and (packages or group in ("", "meta.k8s.io")):
            return message(f"{package}.{kind}")
    return None
