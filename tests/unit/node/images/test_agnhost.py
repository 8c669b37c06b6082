"""agnhost's sub-commands: what suites look for in their output, exit codes, and the servers' ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from scenes import Server, serve_bytes, serve_image, talk
from surroundings import CLIENT, SERVER, Machine, Result

from podwire.services.node.images.agnhost.command import COMMANDS, NOT_BUILT, agnhost
from podwire.services.node.images.agnhost.go import BadDuration, parse_duration

HTTP = f"http://{SERVER}"
SCTP = (f"{SERVER}:80", "--protocol=sctp", "--timeout=5s")


def serving(*words: str) -> Server:
    """agnhost with a command as a server of a scene."""

    async def server(machine: Machine) -> None:
        await serve_image(machine, "agnhost", *words)

    return server


def call(*words: str, servers: tuple[Server, ...] = (), files: dict[str, bytes] | None = None) -> Result:
    """One run of the command in the pod `client`."""
    return talk(["agnhost", *words], *servers, program=agnhost, files=files)


async def closed_names(machine: Machine) -> None:
    """A name server that knows nothing, so that unknown names fail at once."""
    from scenes import serve_dns

    await serve_dns(machine)


@pytest.mark.parametrize(
    ("words", "servers", "code", "complaint"),
    [
        ((f"{SERVER}:8080",), (serving("netexec"),), 0, ""),
        ((f"{SERVER}:8080", "--protocol=udp"), (serving("netexec", "--udp-port", "8080", "--http-port=81"),), 0, ""),
        ((f"{SERVER}:8080",), (), 1, "REFUSED\n"),
        (("10.244.1.9:80", "--timeout", "1s"), (), 1, "TIMEOUT\n"),
        (("10.244.1.9:80",), (), 1, "OTHER: dial tcp 10.244.1.9:80: connect: no route to host\n"),
        (("no.such:80",), (closed_names,), 1, "DNS: lookup no.such on 10.244.1.3:53: no such host\n"),
        ((SERVER,), (), 1, f"UNKNOWN: address {SERVER}: missing port in address\n"),
        (SCTP, (serving("netexec", "--sctp-port", "80", "--http-port=81"),), 0, ""),
        (SCTP, (serving("netexec", "--sctp-port", "81", "--http-port=80"),), 1, "OTHER: connection refused\n"),
        (("10.244.1.9:80", "--protocol=sctp", "--timeout=2s"), (), 1, "TIMEOUT\n"),
        ((*SCTP, "--sctp-data=nothing known"), (serving("netexec", "--sctp-port", "80"),), 1, "OTHER: EOF\n"),
        ((f"{SERVER}:80", "--protocol=sctp"), (), 1, "TIMEOUT\n"),
        ((SERVER, "--protocol=sctp"), (), 1, f"DNS: address {SERVER}: missing port in address\n"),
        ((f"{SERVER}:80", "--protocol=icmp"), (), 1, "Unsupported protocol\nicmp\n"),
        ((), (), 1, "Error: accepts 1 arg(s), received 0\nUsage:\n  app connect [flags]\n\n"),
    ],
)
def test_connect(words: tuple[str, ...], servers: tuple[Server, ...], code: int, complaint: str) -> None:
    result = call("connect", *words, servers=servers)
    assert (result.code, result.out, result.err) == (code, "", complaint)


def test_connect_by_udp_says_refused_and_timeout_with_both_ends() -> None:
    refused = call("connect", f"{SERVER}:8080", "--protocol=udp")
    assert refused.code == 1
    assert refused.err.startswith(f"REFUSED: read udp {CLIENT}:")
    assert refused.err.endswith(f"->{SERVER}:8080: read: connection refused\n")
    words = ("connect", f"{SERVER}:8081", "--protocol=udp", "--timeout=2s", "--udp-data=x")
    silent = call(*words, servers=(serving("netexec"),))
    assert silent.err.startswith("TIMEOUT: read udp ") and silent.err.endswith(": i/o timeout\n")


@pytest.mark.parametrize(
    ("words", "environment", "url", "answer"),
    [
        (("porter",), {"SERVE_PORT_80": "pass", "SERVE_SCTP_PORT_81": "x"}, f"{HTTP}/any", "pass"),
        (("porter", "--json-response"), {"SERVE_TCP_PORT_80": "a"}, f"{HTTP}/", '{"Body":"a","Method":"GET"}'),
        (("serve-hostname",), {}, f"{HTTP}:9376", "server"),
        (("serve-hostname", "--port=80"), {}, f"{HTTP}/", "server"),
        (("liveness",), {}, f"{HTTP}:8080/healthz", "ok"),
        (("test-webserver",), {}, f"{HTTP}/etc/hostname", "client\n"),
        (("guestbook",), {}, f"{HTTP}/set?key=a&value=b", '{"message":"Updated"}'),
        (("guestbook",), {}, f"{HTTP}/get?key=a", '{"data":""}'),
        (("netexec", "--http-override=/echo?msg=o"), {}, f"{HTTP}:8080/x", "o"),
        (("netexec", "--udp-port=-1"), {}, f"{HTTP}:8080/hostname", "server"),
    ],
)
def test_servers(words: tuple[str, ...], environment: dict[str, str], url: str, answer: str) -> None:
    async def server(machine: Machine) -> None:
        process = machine.process(["agnhost", *words], machine.nobody, bytearray(), bytearray(), "server")
        process.environment.update(environment)
        await agnhost(process)

    assert talk(["curl", "-s", url], server).out == answer


def porting(machine: Machine) -> Coroutine[Any, Any, int]:
    """agnhost porter with an SCTP port."""
    process = machine.process(["agnhost", "porter"], machine.nobody, bytearray(), bytearray(), "server")
    process.environment["SERVE_SCTP_PORT_80"] = "pass"
    return agnhost(process)


@pytest.mark.parametrize(
    ("server", "request_text", "answer"),
    [
        (serving("netexec", "--sctp-port=80"), "hostname", '{"responses":["server"]}'),
        (serving("netexec", "--sctp-port=80"), "echo A b", '{"responses":["a b"]}'),
        (porting, "x", '{"responses":["pass"]}'),
        (serving("pause"), "x", '{"errors":["sctp dial failed. err:connection refused"]}'),
    ],
)
def test_dial_by_sctp(server: Server, request_text: str, answer: str) -> None:
    async def dialling(machine: Machine) -> None:
        process = machine.process(["agnhost", "netexec"], machine.nobody, bytearray(), bytearray(), "client")
        await agnhost(process)

    query = f"host={SERVER}&port=80&protocol=sctp&request={request_text.replace(' ', '+')}"
    assert talk(["curl", "-s", f"http://{CLIENT}:8080/dial?{query}"], server, dialling).out == answer


@pytest.mark.parametrize("words", [("netexec", "--sctp-port=80"), ("porter",)])
def test_a_port_that_is_taken_ends_the_server(words: tuple[str, ...]) -> None:
    async def scene(machine: Machine) -> Result:
        first = asyncio.get_running_loop().create_task(serve_image(machine, "agnhost", "netexec", "--sctp-port=80"))
        await asyncio.sleep(1)
        process = machine.process(["agnhost", *words], machine.nobody, out := bytearray(), out, "server")
        process.environment["SERVE_SCTP_PORT_80"] = "x"
        code = await agnhost(process)
        first.cancel()
        return Result(code, "", out.decode())

    result: Result = Machine().play(scene)
    assert result.code == 1
    assert "address already in use" in result.err


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [("hostname", "server"), ("HOSTNAME\n", "server"), ("echo A b", "a b"), ("clientip", f"{CLIENT}:"), ("x", "")],
)
def test_netexec_answers_datagrams(request_text: str, answer: str) -> None:
    script = f"printf '{request_text}' | nc -u -w 1 {SERVER} 8081"
    output = talk(["sh", "-c", script], serving("netexec")).out
    assert output.startswith(answer) and bool(output) == bool(answer)


@pytest.mark.parametrize(
    ("path", "code", "seconds"),
    [("/exit?code=7", 7, 0), ("/exit?code=3&timeout=1s", 3, 0), ("/exit?wait=5s", 0, 5), ("/shutdown", 0, 0)],
)
def test_netexec_ends_when_it_is_told_to(path: str, code: int, seconds: int) -> None:
    async def scene(machine: Machine) -> tuple[int, int]:
        process = machine.process(["agnhost", "netexec"], machine.nobody, bytearray(), bytearray(), "server")
        server = asyncio.get_running_loop().create_task(agnhost(process))
        await asyncio.sleep(0.001)
        begun = machine.clock.monotonic_ns()
        await machine.run(["curl", "-s", f"{HTTP}:8080{path}"])
        return await server, (machine.clock.monotonic_ns() - begun) // 10**9

    assert Machine().play(scene) == (code, seconds)


def test_healthz_says_that_the_udp_server_is_missing() -> None:
    options = ["-s", "-o", "/dev/null", "-w", "%{http_code}"]
    assert talk(["curl", *options, f"{HTTP}:8080/healthz"], serving("netexec", "--udp-port=-1")).out == "412"
    assert talk(["curl", *options, f"{HTTP}:8080/healthz"], serving("netexec")).out == "200"


def test_upload_writes_what_the_form_holds() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'
    script = (
        f"curl -s -H 'Content-Type: multipart/form-data; boundary=b' --data-binary @/form {HTTP}:8080/upload; echo;"
        " cat /uploads/*"
    )
    result = talk(["sh", "-c", script], serving("netexec"), files={"/form": body})
    first, content = result.out.splitlines()
    assert first.startswith('{"output":"/uploads/upload') and content == "content"


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (("dns-suffix",), 0, "default.svc.cluster.local,svc.cluster.local\n"),
        (("dns-server-list",), 0, "10.244.1.3\n"),
        (("entrypoint-tester", "a", "b"), 0, "[agnhost entrypoint-tester a b]\n"),
        (("mounttest", "--file_content=/etc/hostname"), 0, 'content of file "/etc/hostname": client\n\n'),
        (("mounttest", "--file_mode=/etc/hostname"), 0, 'mode of file "/etc/hostname": -rw-r--r--\n'),
        (
            ("mounttest", "--new_file_0660=/tmp/n", "--file_perm=/tmp/n"),
            0,
            'content of file "/tmp/n": mount-tester new file\n\nperms of file "/tmp/n": -rw-rw----\n',
        ),
        (
            ("mounttest", "--file_content=/none"),
            1,
            'error reading file content for "/none": open /none: no such file or directory\n',
        ),
        (("mounttest", "--file_content_in_loop=/none", "--retry_time=3"), 1, None),
        (("--version",), 0, "agnhost version 2.53\n"),
    ],
)
def test_commands_that_print(words: tuple[str, ...], code: int, output: str | None) -> None:
    result = call(*words)
    assert result.code == code
    assert output is None or result.out == output


def test_what_is_not_built_says_so_by_name() -> None:
    for name in NOT_BUILT:
        result = call(name)
        assert result.code == 1 and f'"{name}" is not built in podwire' in result.err
    assert not set(NOT_BUILT) & set(COMMANDS)
    assert call("nosuch").err == 'Error: unknown command "nosuch" for "app"\nRun \'app --help\' for usage.\n'
    assert call("netexec", "--nope").err.startswith("Error: unknown flag: --nope\n")


def test_dial_reports_each_try_that_failed() -> None:
    async def silent(machine: Machine) -> None:
        await serve_bytes(machine, 81, b"", silent=True)

    url = f"{HTTP}:8080/dial?host={SERVER}&port=81&request=a&tries=2"
    reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    error = f'"Get \\"http://{SERVER}:81/a\\": {reason}"'
    assert talk(["curl", "-s", url], serving("netexec"), silent).out == f'{{"errors":[{error},{error}]}}'


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1.5s", 1_500_000_000), ("1m30s", 90 * 10**9), ("100ms", 10**8), ("2h", 72 * 10**11)],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "1s x", "-1s"])
def test_texts_that_are_no_durations(text: str) -> None:
    with pytest.raises(BadDuration):
        parse_duration(text)


def test_clientip_is_where_the_request_came_from() -> None:
    options = ["-s", "-w", " %{local_ip}:%{local_port}"]
    seen, own = talk(["curl", *options, f"{HTTP}:8080/clientip"], serving("netexec")).out.split()
    assert seen == own
