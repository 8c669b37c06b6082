"""exec, attach, port-forward and logs between a client and a machine, on a whole simulated cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.messages import codec
from podwire.proto.messages.kubelet import (
    SILENCE_LIMIT,
    STDIN,
    WINDOW,
    AttachRequest,
    CloseStdin,
    Data,
    ExecRequest,
    Exit,
    KubeletReply,
    KubeletRequest,
    LogRequest,
    PortForwardRequest,
    StreamError,
    StreamOpened,
    StreamRefused,
)
from podwire.scripts.cluster.readiness import is_ready
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.frames import FrameSession, Received

from .conftest import Booted

Json = dict[str, Any]
ECHOES = "while read line; do echo got $line; done; echo end of input; exit 3"
COUNTS = "echo before; i=0; while [ $i -lt 30 ]; do sleep 1; i=$((i+1)); echo line $i; done"
BIG = "yes x | head -n 60000; sleep 1000"


class Client:
    """One session's end, as the API server has it. `slow` takes nothing."""

    def __init__(self, booted: Booted, node: str, session: str, slow: bool = False) -> None:
        self.received = bytearray()
        self.output_ended = asyncio.Event()
        self.ended: asyncio.Future[Exit | StreamError] = asyncio.get_running_loop().create_future()
        self._slow = slow
        outgoing, incoming = subjects.stream_input(node, session), subjects.stream_output(node, session)
        self.frames = FrameSession(booted.cluster.operator, outgoing, incoming, self._take)

    def _take(self, frame: Received) -> None:
        if isinstance(frame, Data):
            self.received += frame.data
            if not self._slow:
                self.frames.consumed(len(frame.data))
        elif isinstance(frame, CloseStdin):
            self.output_ended.set()
        elif isinstance(frame, Exit | StreamError):
            self.ended.set_result(frame)


class Scene:
    """A pod of one container, and sessions with it."""

    def __init__(self, booted: Booted) -> None:
        self.booted = booted
        self.pod: Json = {}
        self._sessions = 0

    async def run(self, script: str, image: str = "busybox", **container: Any) -> None:
        command = {} if not script else {"command": ["sh", "-c", script]}
        spec = {"containers": [{"name": "c", "image": image, **command, **container}], "restartPolicy": "Never"}
        await self.booted.cluster.api.create(resources.PODS, "default", {"metadata": {"name": "p"}, "spec": spec})

        async def ready() -> bool:
            self.pod = await self.booted.cluster.api.get(resources.PODS, "default", "p")
            return is_ready(self.pod)

        await self.booted.cluster.until(ready, 30, "the pod is Ready")

    async def open(self, kind: type[KubeletRequest], slow: bool = False, **fields: Any) -> Client:
        self._sessions += 1
        metadata, node = self.pod["metadata"], self.pod["spec"]["nodeName"]
        name = f"s{self._sessions}"
        place = {"session": name, "namespace": "default", "pod": "p", "uid": metadata["uid"]}
        if kind is not PortForwardRequest:
            place["container"] = "c"
        client = Client(self.booted, node, name, slow)
        request = kind(**place, **fields)
        answer = await pieces.request(self.booted.cluster.operator, subjects.kubelet(node), codec.encode(request), 10)
        reply: KubeletReply = codec.decode_union(KubeletReply, answer)
        assert isinstance(reply, StreamOpened), reply
        return client


def play(booted: Booted, scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        await scene(Scene(booted))

    booted.cluster.run(main())


def test_attach_sees_what_comes_after_it_and_types_into_the_main_program(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run(ECHOES, stdin=True, stdinOnce=True)
        first, second = await made.open(AttachRequest, stdin=True), await made.open(AttachRequest)
        await first.frames.write(STDIN, b"one\n")
        await asyncio.sleep(1)
        late = await made.open(AttachRequest)
        first.frames.close_input()
        ends = [await client.ended for client in (first, second, late)]
        assert bytes(first.received) == bytes(second.received) == b"got one\nend of input\n"
        assert bytes(late.received) == b"end of input\n"
        assert [(end.code, end.message) for end in ends if isinstance(end, Exit)] == [(0, "")] * 3

    play(booted, scene)


def test_without_stdin_once_the_input_outlives_a_client(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run(ECHOES, stdin=True)
        first = await made.open(AttachRequest, stdin=True)
        first.frames.close_input()
        first.frames.fail("the client is gone")
        second = await made.open(AttachRequest, stdin=True)
        await second.frames.write(STDIN, b"two\n")
        await asyncio.sleep(1)
        assert bytes(second.received) == b"got two\n"
        second.frames.fail("the client is gone")

    play(booted, scene)


def test_a_client_that_takes_nothing_holds_the_program_up(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("sleep infinity")
        client = await made.open(ExecRequest, slow=True, command=["yes"])
        alive = asyncio.get_running_loop().create_task(client.frames.stay_alive())
        await asyncio.sleep(5)
        assert len(client.received) == WINDOW
        alive.cancel()
        client.frames.fail("the client is gone")

    play(booted, scene)


def test_a_silent_client_ends_what_it_started(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("sleep infinity")
        client = await made.open(ExecRequest, command=["sleep", "1000"])
        await asyncio.sleep(3 * SILENCE_LIMIT)
        assert isinstance(await client.ended, StreamError)

    play(booted, scene)


def test_a_terminal_has_its_clients_size_and_interrupts_what_runs(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("sleep infinity")
        client = await made.open(ExecRequest, command=["sh"], stdin=True, tty=True)
        client.frames.resize(101, 33)
        for typed in (b"stty size; echo $TERM\r", b"sleep 1000\r", b"\x03", b"echo $?\r", b"exit 4\r"):
            await client.frames.write(STDIN, typed)
            await asyncio.sleep(1)
        end = await client.ended
        assert isinstance(end, Exit) and end.code == 4
        assert (
            b"\r\n33 101\r\nxterm\r\n" in client.received
            and b"sleep 1000\r\n^C\r\n/ # echo $?\r\n130\r\n" in client.received
        )

    play(booted, scene)


def test_the_main_programs_terminal_has_the_size_of_who_is_attached(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("", image="busybox", stdin=True, tty=True)
        client = await made.open(AttachRequest, stdin=True, tty=True)
        client.frames.resize(80, 24)
        await client.frames.write(STDIN, b"stty size\r")
        await asyncio.sleep(1)
        assert b"\r\n24 80\r\n" in client.received
        client.frames.fail("the client is gone")

    play(booted, scene)


def test_a_process_that_a_signal_ends_is_gone_from_the_containers_list(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("sleep 1000 & trap 'echo reloaded' HUP; while true; do sleep 1; done")
        script = "kill -HUP 1; kill -9 1; sleep 2; ps -o pid,args; kill 2; sleep 0; pgrep -f '^sleep 1000'; echo $?"
        client = await made.open(ExecRequest, command=["sh", "-c", script])
        await client.ended
        lines = client.received.decode().splitlines()
        assert lines[1].startswith("    1 sh -c sleep 1000 &") and lines[2] == "    2 sleep 1000" and lines[-1] == "1"
        log = await made.open(LogRequest)
        await log.ended
        assert log.received == b"reloaded\n"

    play(booted, scene)


def test_a_forwarded_connection_reaches_the_pods_loopback(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("", image="nginx")
        client = await made.open(PortForwardRequest, port=80)
        await client.frames.write(STDIN, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await client.output_ended.wait()
        client.frames.close_input()
        end = await client.ended
        assert isinstance(end, Exit) and (end.code, end.message) == (0, "")
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\n") and client.received.endswith(b"</html>\n")

    play(booted, scene)


def test_a_refused_connection_says_it_in_containerds_words(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("sleep infinity")
        end = await (await made.open(PortForwardRequest, port=81)).ended
        assert isinstance(end, Exit) and end.code == 1
        assert end.message.startswith("error forwarding port 81 to pod ")
        assert 'network namespace "/var/run/netns/cni-' in end.message
        assert "IPv4: dial tcp4 127.0.0.1:81: connect: connection refused" in end.message

    play(booted, scene)


def test_half_closes_pass_both_ways(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run("nc -l -p 7000; echo nc ended with $?; sleep 1000")
        client = await made.open(PortForwardRequest, port=7000)
        await client.output_ended.wait()
        await client.frames.write(STDIN, b"all of it")
        client.frames.close_input()
        assert isinstance(await client.ended, Exit)
        await asyncio.sleep(1)
        log = await made.open(LogRequest)
        await log.ended
        assert log.received == b"all of itnc ended with 0\n"

    play(booted, scene)


def test_a_follower_sees_lines_as_they_come_until_the_container_ends(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run(COUNTS)
        await asyncio.sleep(3)
        loop = asyncio.get_running_loop()
        client = await made.open(LogRequest, follow=True, tail_lines=1)
        alive = loop.create_task(client.frames.stay_alive())
        await asyncio.sleep(0.5)
        seen = client.received.count(b"\n")
        await asyncio.sleep(2)
        assert client.received.count(b"\n") == seen + 2
        end = await client.ended
        alive.cancel()
        assert isinstance(end, Exit) and client.received.endswith(b"line 29\nline 30\n")
        assert b"before" not in client.received

    play(booted, scene)


def test_a_big_log_comes_in_pages_as_the_reader_takes_them(booted: Booted) -> None:
    async def scene(made: Scene) -> None:
        await made.run(BIG)
        await asyncio.sleep(5)
        whole = await made.open(LogRequest)
        await whole.ended
        assert whole.received == b"x\n" * 10_000
        slow = await made.open(LogRequest, slow=True, timestamps=True)
        await asyncio.sleep(1)
        assert len(slow.received) == WINDOW
        slow.frames.fail("the client is gone")
        limited = await made.open(LogRequest, limit_bytes=5)
        await limited.ended
        assert limited.received == b"x\nx\nx"

    play(booted, scene)


REFUSALS: list[tuple[type[KubeletRequest], Json, int, str]] = [
    (ExecRequest, {"container": "other", "command": ["sh"]}, 404, 'container not found ("other")'),
    (AttachRequest, {"container": "other"}, 404, 'container not found ("other")'),
    (LogRequest, {"container": "c", "previous": True}, 400, 'previous terminated container "c" in pod "p" not found'),
    (PortForwardRequest, {"port": 0}, 500, "invalid port 0"),
    (PortForwardRequest, {"port": 80, "uid": "gone", "pod": "gone"}, 404, "pod does not exist"),
]


@pytest.mark.parametrize("case", range(len(REFUSALS)))
def test_what_a_kubelet_refuses(booted: Booted, case: int) -> None:
    kind, fields, code, text = REFUSALS[case]

    async def scene(made: Scene) -> None:
        await made.run("sleep infinity")
        place = {"session": "s", "namespace": "default", "pod": "p", "uid": made.pod["metadata"]["uid"]}
        payload = codec.encode(kind(**{**place, **fields}))
        node = made.pod["spec"]["nodeName"]
        answer = await pieces.request(booted.cluster.operator, subjects.kubelet(node), payload, 10)
        reply: KubeletReply = codec.decode_union(KubeletReply, answer)
        assert isinstance(reply, StreamRefused) and (reply.code, reply.message) == (code, text)

    play(booted, scene)
