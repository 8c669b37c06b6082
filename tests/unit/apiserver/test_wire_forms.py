"""The same answer in JSON, indented JSON, YAML and protobuf, as the client's Accept says."""

import json
from typing import Any

import pytest
import yaml

from podwire.proto.messages.api import ApiResponse
from podwire.services.apiserver.core import bodies
from podwire.services.apiserver.core.decisions import OpenWatch
from podwire.services.apiserver.core.errors import ApiError, not_found
from podwire.services.apiserver.core.json_types import to_json
from podwire.services.apiserver.core.negotiation import accepted
from podwire.services.apiserver.core.presentation import WatchForm, Wish, error_event, present
from podwire.services.apiserver.core.reading import bookmark, event_object

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
PARTIAL = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
TABLE = "as=Table;g=meta.k8s.io;v=v1"
NODES = "/api/v1/namespaces"

ACCEPTED = [
    ("", JSON, ""),
    ("*/*", JSON, ""),
    ("application/*", JSON, ""),
    (f"{PROTOBUF},{JSON}", PROTOBUF, ""),
    (f"{JSON},{PROTOBUF}", JSON, ""),
    (f"{JSON};q=0.5,{PROTOBUF}", PROTOBUF, ""),
    (f"{PROTOBUF};{TABLE},{JSON};{TABLE},{JSON}", JSON, "Table"),
    (f"{PROTOBUF};{PARTIAL},{JSON};{PARTIAL}", PROTOBUF, "PartialObjectMetadata"),
    ("application/cbor,application/yaml", YAML, ""),
    (f"{JSON};as=Table;g=meta.k8s.io;v=v2,{JSON}", JSON, ""),
    (f"{JSON};q=nan, {YAML};q=9", JSON, ""),
]


@pytest.mark.parametrize(("accept", "media", "shape"), ACCEPTED)
def test_what_is_accepted(accept: str, media: str, shape: str) -> None:
    found = accepted(accept)
    assert found is not None
    assert (found.media, found.shape) == (media, shape)


@pytest.mark.parametrize("accept", ["application/cbor", "text/plain", f"{JSON};as=Cat", f"{PROTOBUF};{TABLE}"])
def test_what_is_not(accept: str) -> None:
    assert accepted(accept) is None


def shown(value: Any, accept: str, path: str = NODES, **wish: str) -> ApiResponse:
    return present(ApiResponse(code=200, body=to_json(value)), Wish(path, accept, **wish))


@pytest.mark.parametrize(
    "path", [NODES, f"{NODES}/default", "/api", "/apis", "/apis/apps", "/apis/networking.k8s.io/v1"]
)
def test_objects_lists_and_discovery_in_each_form(server: Any, path: str) -> None:
    value = server.get(path)
    as_yaml, as_protobuf = shown(value, YAML), shown(value, PROTOBUF)
    assert (as_yaml.content_type, as_protobuf.content_type) == (YAML, PROTOBUF)
    assert yaml.safe_load(as_yaml.body) == value
    assert without_nesting(bodies.read(as_protobuf.body, PROTOBUF)) == without_nesting(value)


def without_nesting(value: Any) -> Any:
    """An object without what protobuf does not carry: the items' own kinds and versions, and empty lists."""
    kept = {key: entry for key, entry in value.items() if entry not in ([], "")}
    for entry in kept.get("items", []):
        entry.pop("kind", None)
        entry.pop("apiVersion", None)
    return json.dumps({"apiVersion": "v1"} | kept, sort_keys=True)


def test_errors_in_each_form() -> None:
    status = not_found("apps", "deployments", "a").status()
    assert yaml.safe_load(shown(status, YAML).body) == status
    assert bodies.read(shown(status, PROTOBUF).body, PROTOBUF) == status


def test_metadata_alone_in_protobuf(server: Any) -> None:
    accept = f"{PROTOBUF};{PARTIAL}"
    value = server.get(f"{NODES}/default", accept=accept)
    assert value["kind"] == "PartialObjectMetadata"
    assert bodies.read(shown(value, accept).body, PROTOBUF) == value


def test_what_has_no_message_is_json_or_refused() -> None:
    table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
    assert shown(table, f"{PROTOBUF},{JSON}").content_type == JSON
    assert shown(table, PROTOBUF).code == 406
    assert shown({"gitVersion": "v1"}, PROTOBUF, "/version").content_type == JSON


@pytest.mark.parametrize(
    ("wish", "indented"),
    [
        ({"agent": "curl/8.5.0"}, True),
        ({"agent": "Mozilla/5.0 (X11)"}, True),
        ({"agent": "Wget/1"}, True),
        ({"agent": "kubectl/v1.33.0"}, False),
        ({"agent": "kubectl/v1.33.0", "pretty": "true"}, True),
        ({"agent": "curl/8.5.0", "pretty": "false"}, False),
    ],
)
def test_people_are_shown_indented_json(wish: dict[str, str], indented: bool) -> None:
    body = shown({"kind": "Status", "metadata": {}}, JSON, **wish).body
    assert body == (b'{\n  "kind": "Status",\n  "metadata": {}\n}' if indented else b'{"kind":"Status","metadata":{}}')


def opened(server: Any, accept: str) -> OpenWatch:
    found = server.decide("GET", NODES, watch="1", allowWatchBookmarks="true", accept=accept)
    assert isinstance(found, OpenWatch)
    return found


def test_watches_in_each_form(server: Any) -> None:
    for parameters in ("", f";{PARTIAL}"):
        watch = opened(server, f"{PROTOBUF}{parameters},{JSON}")
        form = WatchForm(watch.view.media)
        assert form.content_type == f"{PROTOBUF};stream=watch"
        value = event_object(watch, watch.initial[0], server.now, True)
        for event in ({"type": "ADDED", "object": value}, bookmark(watch, 7, True, server.now)):
            frame, line = form.frame(event), WatchForm(JSON).frame(event)
            assert int.from_bytes(frame[:4], "big") == len(frame) - 4
            assert json.loads(line) == event
            body = frame[frame.index(b"k8s\0") :]
            assert (
                bodies.read(body, PROTOBUF)["kind"]
                == event["object"]["kind"]
                == ("PartialObjectMetadata" if parameters else "Namespace")
            )
            assert form.message(event) == frame[4:]
    assert b"NotFound" in form.frame(error_event(not_found("", "pods", "a")))
    with pytest.raises(ApiError, match="only the following media types"):
        WatchForm(opened(server, YAML).view.media)
