"""Entity tags, compression and headers of answers over HTTP."""

import gzip

import pytest
from aiohttp.test_utils import make_mocked_request

from podwire.proto.messages.api import ApiResponse
from podwire.services.apiserver.http_answer import respond

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
LARGE = b'{"a":"' + b"x" * 200_000 + b'"}'


@pytest.mark.parametrize(
    ("path", "media", "tagged"),
    [
        ("/openapi/v2", "application/json", True),
        ("/openapi/v3/api/v1?hash=1", "application/json", True),
        ("/apis", AGGREGATED, True),
        ("/apis", "application/json", False),
        ("/api/v1/pods", "application/json", False),
    ],
)
def test_documents_that_a_client_has_are_not_sent_again(path: str, media: str, tagged: bool) -> None:
    answer = ApiResponse(code=200, content_type=media, body=b"{}")
    first = respond(answer, make_mocked_request("GET", path))
    assert ("Etag" in first.headers, first.status, first.body) == (tagged, 200, b"{}")
    known = {"If-None-Match": f'"OTHER", {first.headers.get("Etag", "")}'}
    again = respond(answer, make_mocked_request("GET", path, known))
    assert again.status == (304 if tagged else 200)
    changed = respond(ApiResponse(code=200, content_type=media, body=b"[]"), make_mocked_request("GET", path, known))
    assert changed.status == 200


@pytest.mark.parametrize(
    ("encodings", "body", "compressed"),
    [
        ("gzip", LARGE, True),
        ("br, gzip;q=0.5", LARGE, True),
        ("gzip", b"{}", False),
        ("identity", LARGE, False),
        ("", LARGE, False),
    ],
)
def test_large_answers_are_compressed(encodings: str, body: bytes, compressed: bool) -> None:
    request = make_mocked_request("GET", "/api/v1/pods", {"Accept-Encoding": encodings})
    response = respond(ApiResponse(code=200, body=body), request)
    assert isinstance(response.body, bytes)
    assert response.headers.get("Content-Encoding", "") == ("gzip" if compressed else "")
    assert (gzip.decompress(response.body) if compressed else response.body) == body


@pytest.mark.parametrize(("address", "compressed"), [("127.0.0.1", False), ("::1", False), ("192.0.2.7", True)])
def test_clients_of_this_machine_are_spared_the_compression(address: str, compressed: bool) -> None:
    request = make_mocked_request("GET", "/api/v1/pods", {"Accept-Encoding": "gzip"}).clone(remote=address)
    response = respond(ApiResponse(code=200, body=LARGE), request)
    assert ("Content-Encoding" in response.headers) == compressed


def test_warnings_are_quoted() -> None:
    request = make_mocked_request("GET", "/api/v1/pods")
    response = respond(ApiResponse(code=200, body=b"{}", warnings=['unknown field "a"']), request)
    assert response.headers["Warning"] == '299 - "unknown field \\"a\\""'
