"""Users' applications: how they are found, and HTTP conversations with them."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from podwire.scripts.cluster.apps import read_apps
from podwire.scripts.errors import UserError
from podwire.services.app.lifespan import Lifespan, StartupFailed
from podwire.services.app.loading import CannotLoad, load_application
from podwire.services.app.server import HttpServer
from podwire.services.chassis.claim import Connection
from podwire.services.upstream.core.target import BadTarget, Target, target_of

MODULE = (
    "value = 5\nclass Holder:\n    async def app(scope, receive, send): ...\nasync def app(scope, receive, send): ...\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "users_module.py").write_text(MODULE)
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("text", ["users_module:app", "users_module:Holder.app"])
def test_an_application_is_found(folder: Path, text: str) -> None:
    assert callable(load_application(text, str(folder)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users_module", "is not of the form module:attribute"),
        ("no_such_module:app", "no module 'no_such_module'"),
        ("users_module:none", "module 'users_module' has no attribute 'none'"),
        ("users_module:value", "is not callable: an ASGI application is needed, not int"),
        ("broken_module:app", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_an_application_that_cannot_be_found(folder: Path, text: str, message: str) -> None:
    with pytest.raises(CannotLoad, match=message):
        load_application(text, str(folder))


@pytest.mark.parametrize("text", ["app", "UPPER=users_module:app", "coredns=users_module:app"])
def test_names_that_cannot_be(folder: Path, text: str) -> None:
    with pytest.raises(UserError, match="--app"):
        read_apps([text])


# -- conversations


class Wire:
    """A connection whose peer has already sent everything."""

    def __init__(self, sent: bytes) -> None:
        self.peer, self.reader, self.heard, self.closed = ("10.244.1.9", 40000), asyncio.StreamReader(), b"", False
        self.reader.feed_data(sent)
        self.reader.feed_eof()

    async def send(self, data: bytes) -> None:
        self.heard += data

    def close(self) -> None:
        self.closed = True


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    if scope["path"] == "/boom":
        raise ValueError("boom")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-peer", scope["client"][0].encode())]})
    await send({"type": "http.response.body", "body": f"{scope['method']} {scope['path']} ".encode() + body})


def converse(sent: bytes) -> tuple[str, list[str]]:
    complaints: list[str] = []

    async def main() -> str:
        wire = Wire(sent)
        await HttpServer(echo, {}, complaints.append).serve(cast(Connection, wire), ("10.244.1.2", 80))
        assert wire.closed
        return wire.heard.decode()

    return asyncio.run(main()), complaints


def test_requests_follow_each_other_on_one_connection() -> None:
    first = b"POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
    said, _ = converse(first + b"GET /two HTTP/1.1\r\nHost: h\r\n\r\n")
    assert said.count("HTTP/1.1 200") == 2
    assert "POST /a b abc" in said and said.endswith("GET /two ") and "x-peer: 10.244.1.9" in said


def test_a_head_has_no_body() -> None:
    said, _ = converse(b"HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert said.endswith("\r\n\r\n") and "content-length: 8" in said


def test_a_failing_application_answers_500_and_says_why() -> None:
    said, complaints = converse(b"GET /boom HTTP/1.1\r\nHost: h\r\n\r\n")
    assert said.startswith("HTTP/1.1 500") and complaints[-1] == "ValueError: boom"


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\0\x01\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"]
)
def test_noise_is_a_bad_request(noise: bytes) -> None:
    assert converse(noise)[0].startswith("HTTP/1.1 400")


def test_nothing_is_nothing() -> None:
    assert converse(b"") == ("", [])


def test_a_start_that_is_refused() -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def ignorant(scope: Any, receive: Any, send: Any) -> None:
        raise TypeError(scope["type"])

    async def main() -> None:
        with pytest.raises(StartupFailed, match="no database"):
            await Lifespan(refuses).start()
        await Lifespan(ignorant).start()

    asyncio.run(main())


# -- upstream


@pytest.mark.parametrize(
    ("arguments", "environment", "target"),
    [
        (["8000"], {}, Target("127.0.0.1", 8000)),
        (["localhost:5000"], {"UPSTREAM": "1"}, Target("localhost", 5000)),
        ([], {"UPSTREAM": "[::1]:80"}, Target("::1", 80)),
    ],
)
def test_where_an_upstream_leads(arguments: list[str], environment: dict[str, str], target: Target) -> None:
    assert target_of(arguments, environment) == target


@pytest.mark.parametrize("text", ["", "x", "0", "70000", "10.0.0.1:80", "example.org:80", "-1", "8000 "])
def test_an_upstream_leads_to_this_machine_s_ports_only(text: str) -> None:
    with pytest.raises(BadTarget):
        target_of([text], {})
