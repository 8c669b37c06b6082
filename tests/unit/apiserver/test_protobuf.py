"""Bodies in protobuf: every served kind goes through unchanged, and google's protobuf reads and writes the same."""

import base64
import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from podwire.services.apiserver.core import bodies
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.kinds import BUILT_IN, Kind
from podwire.services.apiserver.core.protobuf import decoding, encoding, envelope, messages
from podwire.services.apiserver.core.protobuf.messages import META, Field, message, message_name
from podwire.services.apiserver.core.protobuf.special import READERS
from podwire.services.apiserver.core.schema import definitions
from podwire.services.chassis.chance import RandomStream, below, choose

IN_PROTOBUF = [kind for kind in BUILT_IN if message_name(kind.definition) in messages.names()]
PROTOBUF = "application/vnd.kubernetes.protobuf"
SETTINGS = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, (1 << 32) - 1)
TEXTS = ("a", "b", "x/y", "é", "\u2028", "0" * 200)
SPECIAL: dict[str, tuple[Any, ...]] = {
    f"{META}.Time": ("2024-02-29T01:02:03Z", "0001-01-02T00:00:00Z", "1970-01-01T00:00:00Z"),
    f"{META}.MicroTime": ("2024-02-29T01:02:03.000004Z", "1969-12-31T23:59:59.999999Z"),
    "k8s.io.apimachinery.pkg.api.resource.Quantity": ("1", "100m", "1.5Gi"),
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": (0, -1, (1 << 31) - 1, -(1 << 31), "", "http"),
    "k8s.io.apimachinery.pkg.runtime.RawExtension": ({}, {"a": [1, None, "b"]}),
    f"{META}.FieldsV1": ({}, {"f:metadata": {".": {}}}),
}
SCALARS: dict[str, tuple[Any, ...]] = {
    "string": TEXTS,
    "bytes": tuple(base64.b64encode(data).decode() for data in (b"\0", b"\xff" * 200)),
    "bool": (True,),
    "int32": (1, -1, (1 << 31) - 1, -(1 << 31)),
    "int64": (1, -1, (1 << 63) - 1, -(1 << 63)),
    "double": (0.5, -1e300),
}
ZEROS = {"string": "", "bytes": "", "bool": False, "int32": 0, "int64": 0, "double": 0.0}


def value_of(kind: str, chance: RandomStream, depth: int) -> Any:
    if kind in SCALARS or kind in SPECIAL:
        return choose(chance, SCALARS.get(kind) or SPECIAL[kind])
    if kind in READERS:
        return ["a", "b"]
    return drawn(kind, chance, depth - 1)


def field_value(field: Field, chance: RandomStream, depth: int) -> Any:
    if field.cardinality == "list":
        return [value_of(field.type, chance, depth) for _ in range(1 + below(chance, 2))]
    if field.cardinality == "map":
        return {choose(chance, TEXTS): value_of(field.type, chance, depth) for _ in range(1 + below(chance, 2))}
    if field.zero == "kept" and field.type in ZEROS and below(chance, 4) == 0:
        return ZEROS[field.type]
    return value_of(field.type, chance, depth)


def drawn(name: str, chance: RandomStream, depth: int) -> dict[str, Any]:
    """A JSON object that a message can hold, as Go would print it."""
    found: dict[str, Any] = {}
    for field in message(name).fields:
        if field.zero == "inline":
            found |= drawn(field.type, chance, depth)
        elif (depth > 0 or field.type in SCALARS) and below(chance, 3) == 0:
            found[field.name] = field_value(field, chance, depth)
    return found


def identity(kind: Kind) -> str:
    return f"{kind.resource}.{kind.version}.{kind.group}"


@pytest.mark.parametrize("kind", IN_PROTOBUF, ids=identity)
@SETTINGS
@given(seed=SEEDS)
def test_every_kind_goes_through_protobuf_unchanged(kind: Kind, seed: int) -> None:
    body = drawn(message_name(kind.definition), RandomStream(seed), 6)
    value = {"kind": kind.kind, "apiVersion": kind.api_version, **body}
    assert bodies.read(envelope.write(value), f"{PROTOBUF};type=x") == value


@pytest.mark.parametrize("kind", IN_PROTOBUF, ids=identity)
def test_messages_have_the_fields_of_the_definitions(kind: Kind) -> None:
    waiting, seen = [kind.definition], set()
    while waiting:
        name = waiting.pop()
        definition = definitions()[name]
        if name in seen or message_name(name) in READERS or "properties" not in definition:
            continue
        seen.add(name)
        of = message(message_name(name))
        inlined = [field for entry in of.fields if entry.zero == "inline" for field in message(entry.type).fields]
        fields = {field.name for field in (*of.fields, *inlined) if field.zero != "inline"}
        assert fields == set(definition["properties"]) - ({"kind", "apiVersion"} - fields), name
        waiting += [part.get("$ref", "").rpartition("/")[2] for part in definition["properties"].values()]
        waiting = [entry for entry in waiting if entry]


# -- an independent reader and writer


def _pool() -> descriptor_pool.DescriptorPool:
    """google.protobuf's own idea of the same messages (proto2)."""
    types = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": types.TYPE_STRING, "bytes": types.TYPE_BYTES, "bool": types.TYPE_BOOL,
        "int32": types.TYPE_INT32, "int64": types.TYPE_INT64, "double": types.TYPE_DOUBLE,
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="all.proto", package="all", syntax="proto2")

    def typed(target: Any, kind: str) -> None:
        target.type = scalars.get(kind, types.TYPE_MESSAGE)
        if kind not in scalars:
            target.type_name = f".all.{_flat(kind)}"

    for name in messages.names():
        made = file.message_type.add(name=_flat(name))
        for field in message(name).fields:
            one = made.field.add(name=f"f{field.number}", number=field.number)
            one.label = types.LABEL_OPTIONAL if field.cardinality == "one" else types.LABEL_REPEATED
            if field.cardinality != "map":
                typed(one, field.type)
                continue
            entry = made.nested_type.add(name=f"F{field.number}Entry")
            entry.options.map_entry = True
            key, value = entry.field.add(name="key", number=1), entry.field.add(name="value", number=2)
            key.label = value.label = types.LABEL_OPTIONAL
            typed(key, "string")
            typed(value, field.type)
            one.type, one.type_name = types.TYPE_MESSAGE, f".all.{_flat(name)}.F{field.number}Entry"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _flat(name: str) -> str:
    return name.replace(".", "_")


POOL = _pool()


@pytest.mark.parametrize("kind", IN_PROTOBUF, ids=identity)
@SETTINGS
@given(seed=SEEDS)
def test_google_reads_and_writes_the_same_bytes(kind: Kind, seed: int) -> None:
    of = message(message_name(kind.definition))
    value = drawn(of.name, RandomStream(seed), 6)
    theirs = message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"all.{_flat(of.name)}"))()
    theirs.ParseFromString(encoding.encode(value, of))
    again = theirs.SerializeToString(deterministic=True)
    assert decoding.decode(again, of) == value
    assert again == encoding.encode(value, of)


# -- what a client sends


def test_a_deployment_as_kubectl_creates_it(server: Any) -> None:
    """gogo/protobuf writes every scalar that is no pointer, zeros too; JSON's omitempty leaves them out."""
    made = message_factory.GetMessageClass(POOL.FindMessageTypeByName("all.k8s_io_api_apps_v1_DeploymentSpec"))
    spec = made(f1=0, f5=0, f7=False)
    spec.f2.f1["app"] = "a"
    spec.f3.f1.f11["app"] = "a"
    spec.f3.f1.f8.SetInParent()
    container = spec.f3.f2.f2.add(f1="c", f2="nginx", f5="", f18=False)
    container.f8.SetInParent()
    value = decoding.decode(spec.SerializeToString(), message("k8s.io.api.apps.v1.DeploymentSpec"))
    container_value = {"name": "c", "image": "nginx", "resources": {}}
    assert value == {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container_value]}},
    }
    body = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "a"}, "spec": value}
    path = "/apis/apps/v1/namespaces/default/deployments"
    code, answer = server.request("POST", path, envelope.write(body), content_type=PROTOBUF)
    assert (code, answer["spec"]["replicas"]) == (201, 0)
    again = body | {"metadata": {"name": "b"}}
    from_json = server.request("POST", path, again)[1]
    assert answer["spec"] == from_json["spec"]


OPTIONS = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}}
SCALE = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "a"}, "spec": {"replicas": 3}}
ACCESS = {
    "kind": "SelfSubjectAccessReview",
    "apiVersion": "authorization.k8s.io/v1",
    "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
}


def test_other_bodies_in_protobuf(server: Any) -> None:
    server.create(
        "/api/v1/namespaces/default/configmaps", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}
    )
    code, status = server.request(
        "DELETE", "/api/v1/namespaces/default/configmaps/a", envelope.write(OPTIONS), content_type=PROTOBUF
    )
    assert code == 409 and "other" in status["message"]
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    code, answer = server.request("POST", path, envelope.write(ACCESS), content_type=PROTOBUF)
    assert (code, answer["status"]["allowed"]) == (201, True)
    assert bodies.read(envelope.write(SCALE), PROTOBUF) == SCALE


def test_managers_go_through_protobuf(server: Any) -> None:
    """FieldsV1 is bytes there; an update in protobuf changes who manages what as one in JSON does."""
    path = "/api/v1/namespaces/default/configmaps/a"
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}}
    code, made = server.request("PATCH", path, body, content_type="application/apply-patch+yaml", fieldManager="one")
    assert code == 201
    read = bodies.read(envelope.write(server.get(path)), PROTOBUF)
    assert read["metadata"]["managedFields"] == made["metadata"]["managedFields"]
    changed = envelope.write(read | {"data": {"x": "2", "y": "1"}})
    code, updated = server.request("PUT", path, changed, content_type=PROTOBUF, fieldManager="two")
    fields = {entry["manager"]: entry["fieldsV1"] for entry in updated["metadata"]["managedFields"]}
    assert (code, fields) == (200, {"one": {"f:data": {"f:y": {}}}, "two": {"f:data": {"f:x": {}}}})


# -- what is no message


def unknown(raw: bytes, version: str = "v1", kind: str = "ConfigMap") -> bytes:
    body = envelope.write({"apiVersion": "v1", "kind": "ConfigMap"})
    meta = bytes([10, len(version)]) + version.encode() + bytes([18, len(kind)]) + kind.encode()
    assert body.startswith(b"k8s\0")
    return b"k8s\0" + bytes([10, len(meta)]) + meta + b"\x12" + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty data"),
        (b"{}", "expected prefix [107 56 115 0]"),
        (b"k8s\0", "Object 'Kind' is missing"),
        (b"k8s\0\xff", "unexpected EOF"),
        (b"k8s\0" + b"\xff" * 11, "integer overflow"),
        (unknown(b"", "v9"), 'no kind "ConfigMap" is registered for version "v9"'),
        (unknown(b"", "v1", "Deployment"), 'no kind "Deployment" is registered for version "v1"'),
        (unknown(b"\x0a\x7f"), "unexpected EOF"),
        (unknown(b"\x0a" + b"\xff" * 9 + b"\x01"), "negative length"),
        (unknown(b"\x00\x00"), "illegal tag 0"),
        (unknown(b"\x08\x01"), "wrong wireType = 0 for field Metadata"),
        (unknown(b"\x0b"), "groups are not supported"),
        (unknown(b"\x0c"), "wiretype end group for non-group"),
        (unknown(b"\x0a\x03\x0a\x01\xff"), "invalid UTF-8"),
        (unknown(b"\x0a\x00" * 300_000), "more than 250000 fields"),
    ],
)
def test_bodies_that_are_no_messages(server: Any, body: bytes, says: str) -> None:
    if not body:
        with pytest.raises(ApiError, match="empty data"):
            bodies.read(body, PROTOBUF)
        return
    path = "/api/v1/namespaces/default/configmaps"
    code, status = server.request("POST", path, body, content_type=PROTOBUF)
    assert (code, status["reason"]) == (400, "BadRequest")
    assert says in status["message"], status["message"]


def read_or_refused(body: bytes) -> None:
    try:
        json.dumps(bodies.read(body, PROTOBUF))
    except ApiError as refused:
        code = refused.code
    else:
        code = 400
    assert code == 400


@settings(max_examples=500, deadline=None)
@given(raw=st.binary(max_size=60), kind=st.sampled_from(IN_PROTOBUF))
def test_any_bytes_are_an_object_or_refused(raw: bytes, kind: Kind) -> None:
    read_or_refused(unknown(raw, kind.api_version, kind.kind))


@settings(max_examples=500, deadline=None)
@given(
    kind=st.sampled_from(IN_PROTOBUF),
    seed=SEEDS,
    damage=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4),
    cut=st.integers(0),
)
def test_damaged_bodies_are_an_object_or_refused(
    kind: Kind, seed: int, damage: list[tuple[int, int]], cut: int
) -> None:
    value = drawn(message_name(kind.definition), RandomStream(seed), 3)
    body = bytearray(envelope.write({"kind": kind.kind, "apiVersion": kind.api_version, **value}))
    for place, byte in damage:
        body[place % len(body)] = byte
    read_or_refused(bytes(body[: 1 + cut % len(body)]))


def test_a_watch_event_has_its_object_in_an_envelope() -> None:
    event = {"type": "ADDED", "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}}
    theirs = message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"all.{_flat(META)}_WatchEvent"))()
    theirs.ParseFromString(envelope.watch_event(event))
    assert theirs.f1 == "ADDED"
    assert bodies.read(theirs.f2.f1, PROTOBUF) == event["object"]
