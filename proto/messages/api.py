"""Requests to the API server over the bus: HTTP's own terms, so that HTTPS is a thin front over the same handler."""

from typing import Final

import msgspec

SCHEMA: Final = 1


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request. `path` is without the query; `query` keeps order and repeats."""

    schema: int = SCHEMA
    method: str
    path: str
    query: list[tuple[str, str]] = []
    content_type: str = "application/json"
    accept: str = "application/json"
    body: bytes = b""
    agent: str = ""
    """HTTP's User-Agent; a component gives its name."""


class ApiResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer: HTTP status code, content type, body."""

    schema: int = SCHEMA
    code: int
    content_type: str = "application/json"
    body: bytes = b""
    warnings: list[str] = []


class WatchOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a component's `GET …?watch=1&podwire=stream`: read the stream itself, from this revision."""

    schema: int = SCHEMA
    revision: int
    floor: int
    birth: str
    subjects: list[str]
