"""Messages: what is encoded is decoded to the same; truncated, trailing and foreign bytes are refused by name.

The table covers every message type of the contract (asserted below), with values made by hypothesis.
"""

import inspect
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from podwire.proto.messages import (
    api,
    codec,
    container,
    events,
    kernel,
    kubelet,
    machine,
    process,
    runtime,
    telemetry,
    wire,
)
from podwire.scripts import write_asyncapi

MODULES = (api, container, events, kernel, kubelet, machine, process, runtime, telemetry)


def structs(module: Any) -> list[type[msgspec.Struct]]:
    members = inspect.getmembers(module, inspect.isclass)
    return [kind for name, kind in members if issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__]


KINDS = [kind for module in MODULES for kind in structs(module) if not kind.__name__.startswith("_")]


def minimal(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """A message with every required field filled by its type's simplest value."""
    return kind(**{field.name: simplest(field.type) for field in msgspec.structs.fields(kind) if field.required})


def simplest(annotation: Any) -> Any:
    if annotation is msgspec.Raw:
        return msgspec.Raw(msgspec.msgpack.encode({"kind": "Pod"}))
    schema = msgspec.json.schema(annotation)
    return msgspec.convert(_value(schema, schema.get("$defs", {})), annotation)


def _value(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        wanted = dict.fromkeys((*schema.get("required", ()), "type"))
        properties = schema.get("properties", {})
        return {name: _value(properties[name], definitions) for name in wanted if name in properties}
    if kind == "array":
        return [_value(entry, definitions) for entry in schema.get("prefixItems", [])]
    if kind == "string":
        return b"\x01" if schema.get("contentEncoding") == "base64" else "x"
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(kind)


@pytest.mark.parametrize("kind", KINDS, ids=write_asyncapi.name_of)
def test_every_message_round_trips(kind: type[msgspec.Struct]) -> None:
    message = minimal(kind)
    encoded = codec.encode(message)
    decoded = codec.decode(kind, encoded)
    assert codec.encode(decoded) == encoded


@pytest.mark.parametrize("kind", KINDS, ids=write_asyncapi.name_of)
def test_truncated_and_trailing_bytes_are_refused(kind: type[msgspec.Struct]) -> None:
    encoded = codec.encode(minimal(kind))
    for wrong in (encoded[:-1], b"", encoded + b"\x00"):
        with pytest.raises(codec.ForeignMessage, match=kind.__name__):
            codec.decode(kind, wrong)


@pytest.mark.parametrize("kind", KINDS, ids=write_asyncapi.name_of)
@settings(max_examples=15)
@given(payload=st.binary(max_size=60))
def test_foreign_bytes_are_refused_or_decoded(kind: type[msgspec.Struct], payload: bytes) -> None:
    try:
        codec.decode(kind, payload)
    except codec.ForeignMessage:
        pass


def test_unknown_fields_are_ignored() -> None:
    payload = codec.encode({"schema": 1, "revision": 7, "from the future": True})
    assert codec.decode(events.Floor, payload).revision == 7


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(codec.ForeignMessage, match=r"\$\.revision"):
        codec.decode(events.Floor, codec.encode({"revision": "many"}))


FRAMES = st.lists(st.binary(max_size=200), max_size=20)


@given(FRAMES, st.dictionaries(st.integers(0, 19), st.text(max_size=8), max_size=4))
def test_batches_of_frames_round_trip(frames: list[bytes], traces: dict[int, str]) -> None:
    assert wire.decode(wire.encode(frames, traces)) == (frames, traces)


@given(st.binary(max_size=100))
def test_foreign_batches_are_refused_or_decoded(payload: bytes) -> None:
    try:
        wire.decode(payload)
    except wire.WireError:
        pass


def test_the_published_contract_is_current() -> None:
    assert write_asyncapi.TARGET.read_text() == write_asyncapi.text()


def test_the_published_contract_covers_every_top_level_message() -> None:
    told = yaml.safe_load(write_asyncapi.TARGET.read_text())
    named = {*told["components"]["messages"], *told["components"]["schemas"]}
    parts = {name.rpartition(".")[2] for name in named}
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in parts | NOT_ON_A_CHANNEL] == []


READ_BACK = (
    *("Link", "LinkAddress", "Route", "Rule", "Neighbour", "Fdb", "Flow", "DropCount"),
    *("IpvsService", "IpvsDestination", "IpvsConnection", "IpvsStatistics"),
)
"""Rows of a Read's reply, which the contract leaves open."""
NOT_ON_A_CHANNEL = {"Ended", "EndedClient", "WatchOpened", *READ_BACK}
