"""An exported log: one gzip file (RFC 1952, whose checksum and length show damage) of one MessagePack document.

What it does not have: the cluster's keys and certificates. Secrets are API objects and are in it.
"""

import gzip
import zlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.folder import Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.services.chassis.bus.base import Stored

_FORMAT: Final = "podwire event log"
_SCHEMA: Final = 1


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal["podwire event log"] = _FORMAT
    schema: int = _SCHEMA
    birth: str
    workers: int
    ip_family: str
    last: int
    records: list[tuple[int, str, bytes]]
    hops: list[Hop]


def save(path: Path, log: Log) -> int:
    """Writes the file, whole or not at all; its size in bytes. Raises UserError."""
    document = _Document(
        birth=log.birth,
        workers=log.shape.workers,
        ip_family=log.shape.ip_family,
        last=log.last,
        records=[(record.sequence, record.subject, record.payload) for record in log.records],
        hops=list(log.hops),
    )
    new = path.with_name(f"{path.name}.new")
    try:
        new.touch(mode=0o600)
        new.write_bytes(gzip.compress(msgspec.msgpack.encode(document), compresslevel=6))
        new.replace(path)
        return path.stat().st_size
    except OSError as error:
        new.unlink(missing_ok=True)
        raise UserError(f"{path}: {error.strerror}") from None


def load(path: Path) -> Log:
    """The log of a file. Raises UserError that says what is wrong with it."""
    try:
        text = gzip.decompress(path.read_bytes())
    except EOFError:
        raise UserError(f"--log {path}: the file ends too early; copy it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"--log {path}: it is no log that podwire exported, or it is damaged ({error})") from None
    except OSError as error:
        raise UserError(f"--log {path}: {error.strerror}") from None
    return _log(path, text)


def _log(path: Path, text: bytes) -> Log:
    try:
        document = msgspec.msgpack.decode(text, type=_Document)
    except msgspec.MsgspecError as error:
        raise UserError(f"--log {path}: it is no log that podwire exported ({error})") from None
    if document.schema != _SCHEMA:
        raise UserError(f"--log {path}: it has schema {document.schema}; this podwire reads schema {_SCHEMA}")
    records = tuple(Stored(*record) for record in document.records)
    shape = Shape(document.workers, document.ip_family)
    return Log(document.birth, shape, records, document.last, tuple(document.hops))
