"""What an image is here: programs written against the socket API, files, and how it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from podwire.services.node.network.resolv_conf import Library
from podwire.services.node.process import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image. `library` is the C library that its programs look names up with; `known` is False for the generic
    server that stands for an image nobody knows."""

    name: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    programs: dict[str, Program]
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    library: Library = "glibc"
    known: bool = True
