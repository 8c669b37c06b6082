"""Clients' connections joined to a kubelet's sessions: scripted SPDY and WebSocket clients, a scripted kubelet."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import msgspec
import pytest

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.kubelet import (
    WINDOW,
    CloseStdin,
    Data,
    ExecRequest,
    KubeletRequest,
    PortForwardRequest,
    Resize,
    StreamError,
    StreamOpened,
    StreamRefused,
)
from podwire.services.apiserver.connections.port_forward import SpdyForward
from podwire.services.apiserver.connections.remote_command import PING_EVERY, join
from podwire.services.apiserver.connections.spdy import SpdyLink
from podwire.services.apiserver.connections.spdy_command import SpdyCommand
from podwire.services.apiserver.connections.terminal_size import SizeReader, read_size
from podwire.services.apiserver.connections.websocket_command import WebSocketCommand
from podwire.services.apiserver.core import remote_command
from podwire.services.apiserver.core.spdy import frames as spdy
from podwire.services.apiserver.core.spdy.reader import FrameReader
from podwire.services.apiserver.sessions import Session
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.memory import Broker
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.frames import FrameSession, Received
from podwire.services.chassis.simulation.loop import SimulationLoop
from podwire.services.chassis.tasks import OrderedTaskGroup

NODE = "node-1"
MOMENT = 0.1
EXEC = ExecRequest(session="s", namespace="n", pod="p", uid="u", container="c", command=["cat"], stdin=True)
FORWARD = PortForwardRequest(session="s", namespace="n", pod="p", uid="u")


class Kubelet:
    """Opens every session, and keeps what it was asked and told."""

    def __init__(self, broker: Broker, tasks: OrderedTaskGroup) -> None:
        self.asked: list[KubeletRequest] = []
        self.told: dict[str, list[Received]] = {}
        self.sessions: dict[str, FrameSession] = {}
        self.refusal = ""
        self._bus = broker.connect("kubelet")
        Responder(self._bus, tasks, self._answer).serve(subjects.kubelet(NODE))

    async def _answer(self, message: Message) -> bytes:
        request: KubeletRequest = codec.decode_union(KubeletRequest, message.payload)
        self.asked.append(request)
        if self.refusal:
            return codec.encode(StreamRefused(code=404, reason="NotFound", message=self.refusal))
        name, told = request.session, self.told.setdefault(request.session, [])
        outgoing, incoming = subjects.stream_output(NODE, name), subjects.stream_input(NODE, name)
        self.sessions[name] = FrameSession(self._bus, outgoing, incoming, told.append)
        return codec.encode(StreamOpened(session=name))


class Channel:
    """A client's end of a byte channel. Frames that it says are read by the server; `heard` gives the server's."""

    def __init__(self) -> None:
        self._writer, self._reader = spdy.FrameWriter(), FrameReader()
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._heard: list[spdy.Frame] = []
        self.is_closed = self.is_lost = False

    def say(self, *given: spdy.Frame) -> None:
        for frame in given:
            self._incoming.put_nowait(self._writer.encode(frame))

    def say_bytes(self, data: bytes) -> None:
        self._incoming.put_nowait(data)

    def heard(self) -> list[spdy.Frame]:
        heard, self._heard = self._heard, []
        return heard

    async def read(self) -> bytes:
        return await self._incoming.get()

    async def write(self, data: bytes) -> None:
        if self.is_lost:
            raise ConnectionResetError("lost")
        self._heard += self._reader.feed(data)

    async def close(self) -> None:
        self.is_closed = True


class World:
    """What a scene has."""

    def __init__(self, broker: Broker, tasks: OrderedTaskGroup) -> None:
        self.kubelet = Kubelet(broker, tasks)
        self.bus, self.tasks, self.channel = broker.connect("apiserver"), tasks, Channel()

    async def exec(self, asked: ExecRequest = EXEC, version: str = remote_command.V4) -> "asyncio.Task[None]":
        session = Session(self.bus, NODE, asked)
        await session.open()
        command = SpdyCommand(SpdyLink(self.channel), asked, version)
        return asyncio.get_running_loop().create_task(join(command, session))

    def forward(self) -> "asyncio.Task[None]":
        numbers = count()

        def connect(port: int) -> Session:
            one = msgspec.structs.replace(FORWARD, session=f"s-{next(numbers)}", port=port)
            return Session(self.bus, NODE, one)

        return asyncio.get_running_loop().create_task(SpdyForward(SpdyLink(self.channel), connect).serve())


def play(scene: Callable[[World], Awaitable[None]]) -> None:
    loop = SimulationLoop(5)  # type: ignore[abstract]  # what it does not have raises Forbidden

    async def main() -> None:
        async with OrderedTaskGroup() as tasks:
            await scene(World(Broker(RandomStream(5), 1_000_000), tasks))

    loop.run_until_complete(loop.spawn("test", main()))
    assert not loop.failures, loop.failures


def opened(*names: str) -> list[spdy.Frame]:
    return [spdy.SynStream(2 * index + 1, {"streamType": name}) for index, name in enumerate(names)]


def test_exec_over_spdy_from_the_first_stream_to_the_status() -> None:
    async def scene(world: World) -> None:
        channel, done = world.channel, await world.exec()
        channel.say(*opened("error", "stdin", "stdout", "stderr"))
        channel.say(spdy.Data(3, b"hello\n"), spdy.Data(3, b"", fin=True))
        await asyncio.sleep(MOMENT)
        assert channel.heard() == [spdy.SynReply(stream) for stream in (1, 3, 5, 7)]
        assert world.kubelet.told["s"] == [Data(1, 0, b"hello\n"), CloseStdin(2)]
        program = world.kubelet.sessions["s"]
        await program.write(1, b"out")
        await program.write(2, b"err")
        program.finish(3)
        await asyncio.sleep(MOMENT)
        out, err, status, *ends = channel.heard()
        assert (out, err) == (spdy.Data(5, b"out"), spdy.Data(7, b"err"))
        assert isinstance(status, spdy.Data) and status.stream == 1
        assert json.loads(status.data)["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
        assert ends == [*(spdy.Data(stream, b"", fin=True) for stream in (1, 3, 5, 7)), spdy.GoAway(7)]
        channel.say_bytes(b"")
        await done
        assert channel.is_closed

    play(scene)


def test_before_v4_the_error_stream_says_it_in_words_and_success_says_nothing() -> None:
    assert remote_command.status_bytes("v3.channel.k8s.io", 0, "") == b""
    assert remote_command.status_bytes(remote_command.V1, 2, "").endswith(b"non-zero exit code: exit status 2")
    assert remote_command.status_bytes(remote_command.V1, -1, "lost") == b"lost"


def test_a_terminal_has_sizes_and_no_stderr() -> None:
    async def scene(world: World) -> None:
        done = await world.exec(msgspec.structs.replace(EXEC, tty=True))
        world.channel.say(*opened("error", "stdin", "stdout", "resize"))
        world.channel.say(spdy.Data(7, b'{"Width":80,"Hei'), spdy.Data(7, b'ght":24}\n{"Width":"x"}\n'))
        world.channel.say(spdy.Data(7, b'{"Width":100,"Height":30}\n'))
        await asyncio.sleep(MOMENT)
        assert world.kubelet.told["s"] == [Resize(1, 80, 24), Resize(2, 100, 30)]
        world.channel.say_bytes(b"")
        await done

    play(scene)


@pytest.mark.parametrize("end", ["closes", "breaks the protocol"])
def test_the_clients_end_is_the_programs(end: str) -> None:
    async def scene(world: World) -> None:
        done = await world.exec()
        world.channel.say(*opened("error", "stdin", "stdout", "stderr"))
        world.channel.say_bytes(b"" if end == "closes" else b"\x80\x03\x00\x0b\x00\x00\x00\x00")
        await done
        await asyncio.sleep(MOMENT)
        assert [type(frame) for frame in world.kubelet.told["s"]] == [StreamError]
        assert world.channel.is_closed

    play(scene)


def test_streams_that_nobody_asked_for_are_reset() -> None:
    async def scene(world: World) -> None:
        done = await world.exec()
        world.channel.say(*opened("error", "wombat", "error", "resize"))
        await asyncio.sleep(MOMENT)
        refused = [frame.stream for frame in world.channel.heard() if isinstance(frame, spdy.RstStream)]
        assert refused == [3, 5, 7]
        world.channel.say_bytes(b"")
        await done

    play(scene)


def test_a_client_that_opens_no_streams_is_not_waited_for() -> None:
    async def scene(world: World) -> None:
        done = await world.exec()
        await asyncio.sleep(40)
        assert done.done() and world.channel.is_closed
        assert isinstance(world.kubelet.told["s"][-1], StreamError)

    play(scene)


def test_input_that_a_program_does_not_take_stays_with_the_client() -> None:
    """The reader stops; that the client is gone is noticed by the ping that cannot be written."""

    async def scene(world: World) -> None:
        done = await world.exec()
        world.channel.say(*opened("error", "stdin", "stdout", "stderr"))
        for _ in range(20):
            world.channel.say(spdy.Data(3, bytes(WINDOW // 4)))
        await asyncio.sleep(MOMENT)
        received = [frame for frame in world.kubelet.told["s"] if isinstance(frame, Data)]
        assert sum(len(frame.data) for frame in received) == WINDOW
        world.channel.is_lost = True
        world.channel.say_bytes(b"")
        await asyncio.sleep(PING_EVERY + MOMENT)
        assert isinstance(world.kubelet.told["s"][-1], StreamError)
        await done

    play(scene)


def pair(number: int, port: str, request: str) -> list[spdy.Frame]:
    headers = {"port": port, "requestID": request}
    return [
        spdy.SynStream(number, {**headers, "streamType": "error"}),
        spdy.Data(number, b"", fin=True),
        spdy.SynStream(number + 2, {**headers, "streamType": "data"}),
    ]


def test_forwarded_connections_share_a_client() -> None:
    async def scene(world: World) -> None:
        channel, done = world.channel, world.forward()
        channel.say(*pair(1, "80", "0"), *pair(5, "81", "1"))
        channel.say(spdy.Data(3, b"to 80"), spdy.Data(7, b"to 81", fin=True))
        await asyncio.sleep(MOMENT)
        ports = [request.port for request in world.kubelet.asked if isinstance(request, PortForwardRequest)]
        assert ports == [80, 81]
        first, second = world.kubelet.told.values()
        assert first == [Data(1, 0, b"to 80")]
        assert second == [Data(1, 0, b"to 81"), CloseStdin(2)]
        one, other = world.kubelet.sessions.values()
        await one.write(1, b"from 80")
        one.finish(0)
        other.finish(1, "connection refused")
        await asyncio.sleep(MOMENT)
        heard = [frame for frame in channel.heard() if isinstance(frame, spdy.Data)]
        assert [frame for frame in heard if frame.stream in (1, 3)] == [
            spdy.Data(3, b"from 80"),
            spdy.Data(3, b"", fin=True),
            spdy.Data(1, b"", fin=True),
        ]
        assert [frame for frame in heard if frame.stream in (5, 7)] == [
            spdy.Data(5, b"connection refused"),
            spdy.Data(7, b"", fin=True),
            spdy.Data(5, b"", fin=True),
        ]
        channel.say_bytes(b"")
        await done

    play(scene)


def test_a_connection_that_the_kubelet_refuses_says_why_on_its_error_stream() -> None:
    async def scene(world: World) -> None:
        world.kubelet.refusal = "pod does not exist"
        done = world.forward()
        world.channel.say(*pair(1, "80", "0"))
        await asyncio.sleep(MOMENT)
        assert spdy.Data(1, b"pod does not exist") in world.channel.heard()
        world.channel.say_bytes(b"")
        await done

    play(scene)


BAD_STREAMS: dict[str, dict[str, str]] = {
    "no port": {"streamType": "data", "requestID": "0"},
    "port 0": {"streamType": "data", "requestID": "0", "port": "0"},
    "port 65536": {"streamType": "data", "requestID": "0", "port": "65536"},
    "no number": {"streamType": "data", "requestID": "0", "port": "http"},
    "no type": {"requestID": "0", "port": "80"},
    "another type": {"streamType": "stdin", "requestID": "0", "port": "80"},
}


@pytest.mark.parametrize("case", BAD_STREAMS)
def test_streams_that_make_no_pair_are_reset(case: str) -> None:
    async def scene(world: World) -> None:
        done = world.forward()
        world.channel.say(spdy.SynStream(1, BAD_STREAMS[case]))
        await asyncio.sleep(MOMENT)
        assert world.channel.heard() == [spdy.RstStream(1, spdy.PROTOCOL_ERROR)]
        world.channel.say_bytes(b"")
        await done
        assert world.kubelet.asked == []

    play(scene)


def test_a_data_stream_that_is_reset_leaves_the_error_stream_empty() -> None:
    """kubectl from 1.32 on resets each data stream once it is through; any text on the error stream ends it."""

    async def scene(world: World) -> None:
        done = world.forward()
        world.channel.say(*pair(1, "80", "0"))
        await asyncio.sleep(MOMENT)
        world.channel.say(spdy.RstStream(3, spdy.CANCEL))
        await asyncio.sleep(MOMENT)
        told = [frame for frame in world.channel.heard() if isinstance(frame, spdy.Data) and frame.stream == 1]
        assert told == [spdy.Data(1, b"", fin=True)]
        world.channel.say_bytes(b"")
        await done

    play(scene)


def test_half_a_pair_is_given_up_and_a_reset_ends_the_pods_connection() -> None:
    async def scene(world: World) -> None:
        done = world.forward()
        world.channel.say(spdy.SynStream(1, {"streamType": "data", "requestID": "0", "port": "80"}))
        world.channel.say(*pair(3, "80", "1"))
        await asyncio.sleep(MOMENT)
        world.channel.say(spdy.RstStream(5, spdy.CANCEL))
        await asyncio.sleep(40)
        assert spdy.RstStream(1, spdy.CANCEL) in world.channel.heard()
        [told] = world.kubelet.told.values()
        assert [type(frame) for frame in told] == [StreamError]
        world.channel.say_bytes(b"")
        await done

    play(scene)


def test_which_version_is_spoken() -> None:
    served = remote_command.SPDY_VERSIONS
    assert remote_command.negotiate([], served) == remote_command.V1
    assert remote_command.negotiate(["v9.channel.k8s.io", "v3.channel.k8s.io", "v4.channel.k8s.io"], served) == (
        "v3.channel.k8s.io"
    )
    assert remote_command.negotiate(["v5.channel.k8s.io"], served) is None


MESSAGES: list[tuple[str, str | bytes, tuple[int, bytes]]] = [
    ("v4.channel.k8s.io", b"\0abc", (0, b"abc")),
    ("v4.channel.k8s.io", "\0abc", (0, b"abc")),
    ("v5.channel.k8s.io", b"\xff\0", (255, b"\0")),
    ("v4.channel.k8s.io", b"", (-1, b"")),
    ("v4.base64.channel.k8s.io", "0YWJj", (0, b"abc")),
    ("base64.channel.k8s.io", b"4e30=", (4, b"{}")),
    ("v4.base64.channel.k8s.io", "0%%%", (-1, b"")),
    ("v4.base64.channel.k8s.io", "0", (0, b"")),
]


@pytest.mark.parametrize(("version", "message", "expected"), MESSAGES)
def test_messages_of_a_websocket(version: str, message: str | bytes, expected: tuple[int, bytes]) -> None:
    socket: Any = None
    assert WebSocketCommand(socket, version).read(message) == expected


def test_sizes_that_are_none() -> None:
    for text in (b"", b"{", b"[]", b'{"Width":-1}', b'{"Width":70000}', b"\xff"):
        assert read_size(text) is None, text
    assert SizeReader().feed(b"x" * 100_000) == []
