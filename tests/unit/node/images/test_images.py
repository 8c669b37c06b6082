"""What each image answers, through real connections between two pods in virtual time."""

import asyncio
import json
from email.utils import parsedate_to_datetime

import pytest
from scenes import Server, serve_image, talk
from surroundings import SERVER, Machine

from podwire.services.node.images.catalogue import find_image, host_programs, last_component
from podwire.services.node.images.redis import CommandFailure, Store, execute
from podwire.services.node.pipes import Pipe
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.runtime.programs import find_program, is_terminable

HTTP = f"http://{SERVER}"


def serving(image: str, *words: str, log: bytearray | None = None) -> Server:
    """An image as a server of a scene."""

    async def server(machine: Machine) -> None:
        await serve_image(machine, image, *words, log=log)

    return server


def get(image: str, url: str, *words: str, options: tuple[str, ...] = (), files: dict[str, bytes] | None = None) -> str:
    """What curl prints."""
    return talk(["curl", "-s", *options, url], serving(image, *words), files=files).out


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("docker.io/library/nginx:latest", "nginx"),
        ("localhost:5000/team/nginx@sha256:abc", "nginx"),
        ("localhost:5000/nginx:1@sha256:abc", "nginx"),
    ],
)
def test_names_are_found_by_their_last_component(name: str, component: str) -> None:
    assert last_component(name) == component


def test_every_main_program_exists_and_servers_end_on_sigterm() -> None:
    for name in ("nginx", "httpd", "redis", "hashicorp/http-echo", "traefik/whoami", "agnhost", "pause", "x/unknown"):
        image = find_image(name, [])
        program = find_program(image.programs, [*image.entrypoint, *image.arguments][0])
        assert program is not None and is_terminable(program), name
    for name in ("busybox", "alpine", "debian", "ubuntu", "nicolaka/netshoot", "curlimages/curl"):
        image = find_image(name, [])
        assert image.known
        for tool in ([*image.entrypoint, *image.arguments][0], "sh", "sleep", "cat", "grep"):
            assert find_program(image.programs, tool) is not None, (name, tool)
    assert not find_image("x/unknown", []).known
    assert {"sh", "sudo", "ip", "bridge", "iptables", "iptables-save"} <= host_programs().keys()


def test_nginx_serves_files_pages_and_logs() -> None:
    log = bytearray()
    page = talk(["curl", "-s", "-A", "me", f"{HTTP}/"], serving("nginx", log=log))
    assert len(page.out) == 615 and "<title>Welcome to nginx!</title>" in page.out
    assert log.decode().splitlines()[-1] == (
        '10.244.1.2 - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 615 "-" "me" "-"'
    )
    missing = get("nginx", f"{HTTP}/nope", options=("-i",))
    assert missing.startswith("HTTP/1.1 404 Not Found\r\nServer: nginx/1.27.5\r\n")
    assert missing.endswith("<hr><center>nginx/1.27.5</center>\r\n</body>\r\n</html>\r\n")
    assert get("nginx", f"{HTTP}/", options=("-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}")) == "405"
    assert "../" not in get("nginx", f"{HTTP}/../../etc/hostname")


def test_headers_carry_the_time_of_the_clock() -> None:
    head = get("nginx", f"{HTTP}/", options=("-I",))
    date = next(line.partition(": ")[2] for line in head.splitlines() if line.startswith("Date: "))
    assert parsedate_to_datetime(date).timestamp() == 1_700_000_000


def test_httpd_works() -> None:
    assert get("httpd:2.4", f"{HTTP}/") == "<html><body><h1>It works!</h1></body></html>\n"
    assert "404 Not Found" in get("httpd", f"{HTTP}/nope")


def test_http_echo_echoes() -> None:
    assert get("hashicorp/http-echo:1.0", f"{HTTP}:5678/", "-text=hello") == "hello\n"
    assert get("hashicorp/http-echo", f"{HTTP}:8080/", "-listen=:8080", "-text", "hi") == "hi\n"


def test_echo_server_tells_what_it_was_asked() -> None:
    document = json.loads(get("ealen/echo-server", f"{HTTP}/a?b=c", options=("-H", "X-Y: z")))
    assert document["http"]["originalUrl"] == "/a?b=c"
    assert document["request"]["query"] == {"b": "c"}
    assert document["request"]["headers"]["x-y"] == "z"
    assert document["environment"]["HOSTNAME"] == "server"


def test_whoami_tells_who_it_is() -> None:
    lines = get("traefik/whoami", f"{HTTP}/x").splitlines()
    assert lines[:3] == ["Hostname: server", "IP: 127.0.0.1", "IP: 10.244.1.3"]
    assert "GET /x HTTP/1.1" in lines and "Host: 10.244.1.3" in lines
    assert json.loads(get("traefik/whoami", f"{HTTP}:81/api", "--port", "81"))["hostname"] == "server"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/hostname", "server"),
        ("/echo?msg=hi", "hi"),
        ("/healthz", ""),
        ("/dial?host=10.244.1.3&port=8080&request=hostname&tries=2", '{"responses":["server","server"]}'),
        ("/dial?host=10.244.1.3&port=8081&protocol=udp&request=echo%20x", '{"responses":["x"]}'),
        ("/hostName", "server"),
        ("/any", "NOW: 2023-11-14 22:13:20.001000000 +0000 UTC m=+0.001000000"),
        ("/header?key=x", "NOW: 2023-11-14 22:13:20.001000000 +0000 UTC m=+0.001000000"),
        ("/echo?msg=a&code=x", "argument 'code' must be an integer or empty, got \"x\"\n"),
        ("/redirect?location=/echo%3Fmsg=a", '<a href="/echo?msg=a">Found</a>.\n\n'),
        ("/shell?cmd=echo+a%26%26false", '{"error":"exit status 1","output":"a\\n"}'),
        ("/shell?shellCommand=echo+'<%26>'", '{"output":"\\u003c\\u0026\\u003e\\n"}'),
        ("/upload", '{"error":"Unable to upload file."}'),
        ("/exit?code=a", "argument 'code' must be an integer [0-127] or empty, got \"a\"\n"),
        ("/exit?wait=a", "argument 'wait' must be a valid golang duration or empty, got \"a\"\n"),
        (
            "/dial?host=10.244.1.3&port=1&request=a",
            '{"errors":["Get \\"http://10.244.1.3:1/a\\": dial tcp 10.244.1.3:1: connect: connection refused"]}',
        ),
        (
            "/dial?host=10.244.1.9&port=1&request=a",
            '{"errors":["Get \\"http://10.244.1.9:1/a\\": dial tcp 10.244.1.9:1: connect: no route to host"]}',
        ),
        (
            "/dial?host=10.244.1.3&port=80&protocol=sctp&request=a",
            '{"errors":["sctp dial failed. err:connection refused"]}',
        ),
        ("/dial?host=10.244.1.3&port=80", "request parameter not specified. <nil>\n"),
        ("/dial?host=10.244.1.3&port=80&request=a&protocol=x", "unsupported protocol. x\n"),
        ("/dial?host=a&port=x&request=a", "host and/or port param are invalid. address x: invalid port\n"),
        (
            "/dial?host=a&port=1&request=a&tries=x",
            'tries parameter is invalid. strconv.Atoi: parsing "x": invalid syntax\n',
        ),
    ],
)
def test_agnhost_netexec(path: str, answer: str) -> None:
    assert get("registry.k8s.io/e2e-test-images/agnhost:2.53", f"{HTTP}:8080{path}", "netexec") == answer


def test_agnhost_serves_its_name_and_connects() -> None:
    assert get("agnhost", f"{HTTP}:9376/", "serve-hostname") == "server"
    agnhost = find_image("agnhost", []).programs["agnhost"]
    assert talk(["agnhost", "connect", f"{SERVER}:8080"], serving("agnhost", "netexec"), program=agnhost).code == 0
    refused = talk(["agnhost", "connect", f"{SERVER}:8080"], program=agnhost)
    assert (refused.code, refused.err) == (1, "REFUSED\n")


def test_an_unknown_image_answers_on_every_declared_port() -> None:
    assert get("example.com/shop/api:3", f"{HTTP}:8080/") == "Hello from example.com/shop/api:3 on server\n"
    assert get("example.com/shop/api:3", f"{HTTP}:8080/health") == '{"status":"ok"}\n'
    any_command = find_image("example.com/shop/api:3", [("TCP", 8080)])
    assert find_program(any_command.programs, "/opt/run-me") is not None
    assert find_program(any_command.programs, "sh") is not None


def test_in_an_unknown_image_exec_finds_only_what_is_there() -> None:
    async def scene(machine: Machine) -> int:
        image = find_image("example.com/shop/api:3", [])
        process = machine.process(["psql"], Pipe(), bytearray(), bytearray())
        program = find_program(image.programs, "psql")
        assert program is not None
        return await program(process)

    assert Machine().play(scene) == 127


def test_curlimages_runs_curl_or_a_program() -> None:
    entry = find_image("curlimages/curl", []).programs["entrypoint.sh"]
    assert talk(["entrypoint.sh", "-s", f"{HTTP}:8080/hostname"], serving("agnhost", "netexec"), program=entry).out == (
        "server"
    )
    assert talk(["entrypoint.sh", "echo", "a"], program=entry).out == "a\n"


# -- the shared HTTP server


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK"),
        (b"GET / HTTP/1.0\r\n\r\n", "200 OK"),
        (b"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (b"nonsense\r\n\r\n", "400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400 Bad Request"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + bytes(1_100_000), "413 "),
        (b"GET /" + b"a" * 40_000, "431 Request Header Fields Too Large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK"),
    ],
)
def test_malformed_requests_are_refused(request_text: bytes, status: str) -> None:
    async def scene(machine: Machine) -> bytes:
        server = asyncio.get_running_loop().create_task(serve_image(machine, "nginx"))
        await asyncio.sleep(0.001)
        stream = await machine.process([], BytesReader(b""), bytearray(), bytearray()).network.connect((SERVER, 80))
        reply = bytearray()
        try:
            for at in range(0, len(request_text), 32_768):
                await stream.write(request_text[at : at + 32_768])
                await asyncio.sleep(0.001)
            while data := await stream.read():
                reply += data
        except OSError:
            pass
        server.cancel()
        return bytes(reply)

    reply: bytes = Machine().play(scene)
    assert reply.startswith(f"HTTP/1.1 {status}".encode())
    assert reply.count(b"HTTP/1.1 ") == (2 if b"nope" in request_text else 1)


def test_silent_clients_are_sent_away() -> None:
    async def scene(machine: Machine) -> float:
        server = asyncio.get_running_loop().create_task(serve_image(machine, "nginx"))
        await asyncio.sleep(0.001)
        stream = await machine.process([], BytesReader(b""), bytearray(), bytearray()).network.connect((SERVER, 80))
        await stream.write(b"GET / HT")
        assert await stream.read() == b""
        server.cancel()
        return machine.loop.time()

    assert Machine().play(scene) == pytest.approx(75, abs=1)


def test_a_taken_port_is_said_in_the_servers_words() -> None:
    result = talk(["sh", "-c", "nc -l -p 80 & sleep 1; nginx"], program=None)
    assert result.err == "sh: nginx: not found\n"

    async def scene(machine: Machine) -> str:
        machine.shell.kernel.namespace("server").sockets.listen_tcp(("0.0.0.0", 80), 1)
        err = bytearray()
        image = find_image("nginx", [])
        machine.folder_of_image(dict(image.files))
        process = machine.process(["nginx"], BytesReader(b""), bytearray(), err, "server")
        assert await image.programs["nginx"](process) == 1
        return err.decode().splitlines()[-1]

    assert Machine().play(scene) == "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"


# -- redis


@pytest.mark.parametrize(
    ("commands", "replies"),
    [
        ([[b"PING"], [b"PING", b"x"], [b"ECHO", b"y"]], [b"+PONG\r\n", b"$1\r\nx\r\n", b"$1\r\ny\r\n"]),
        ([[b"GET", b"k"], [b"SET", b"k", b"v"], [b"GET", b"k"]], [b"$-1\r\n", b"+OK\r\n", b"$1\r\nv\r\n"]),
        ([[b"INCR", b"n"], [b"INCRBY", b"n", b"5"], [b"DECR", b"n"]], [b":1\r\n", b":6\r\n", b":5\r\n"]),
        ([[b"SET", b"k", b"v", b"EX", b"9"], [b"TTL", b"k"], [b"TTL", b"x"]], [b"+OK\r\n", b":9\r\n", b":-2\r\n"]),
        ([[b"SET", b"k", b"v", b"NX"], [b"SET", b"k", b"w", b"NX"]], [b"+OK\r\n", b"$-1\r\n"]),
        ([[b"SET", b"a", b"1"], [b"KEYS", b"*"], [b"DEL", b"a", b"b"]], [b"+OK\r\n", b"*1\r\n$1\r\na\r\n", b":1\r\n"]),
    ],
)
def test_redis_commands(commands: list[list[bytes]], replies: list[bytes]) -> None:
    store = Store()
    assert [execute(store, command, 1000) for command in commands] == replies


def test_redis_keys_expire() -> None:
    store = Store()
    execute(store, [b"SET", b"k", b"v", b"PX", b"5"], 0)
    assert execute(store, [b"GET", b"k"], 4_999_999) == b"$1\r\nv\r\n"
    assert execute(store, [b"GET", b"k"], 5_000_000) == b"$-1\r\n"


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ([b"GET"], "ERR wrong number of arguments for 'get' command"),
        ([b"NOPE"], "ERR unknown command 'nope', with args beginning with: "),
        ([b"INCRBY", b"k", b"x"], "ERR value is not an integer or out of range"),
        ([b"SET", b"k", b"v", b"EX"], "ERR syntax error"),
    ],
)
def test_redis_refuses(command: list[bytes], refusal: str) -> None:
    with pytest.raises(CommandFailure, match="^" + refusal.replace("(", r"\(")):
        execute(Store(), command, 0)


def test_redis_over_the_wire() -> None:
    cli = find_image("redis:7", []).programs["redis-cli"]
    assert talk(["redis-cli", "-h", SERVER, "PING"], serving("redis:7"), program=cli).out == "PONG\n"
    refused = talk(["redis-cli", "-h", SERVER, "PING"], program=cli)
    assert refused.err == "Could not connect to Redis at 10.244.1.3:6379: Connection refused\n"
    nonsense = talk(["sh", "-c", f"printf '*1\\r\\n!x\\r\\n' | nc {SERVER} 6379"], serving("redis"))
    assert nonsense.out == "-ERR Protocol error: expected '$', got '!'\r\n"


def test_pythons_http_server_lists_and_serves_a_folder() -> None:
    words = ("python", "-m", "http.server", "8000", "-d", "/srv")
    files = {"/srv/a b.txt": b"text\n", "/srv/sub/index.html": b"<p>in"}
    assert get("python:3.13", f"{HTTP}:8000/a%20b.txt", *words, files=files) == "text\n"
    assert get("python:3.13", f"{HTTP}:8000/sub/", *words, files=files) == "<p>in"
    listing = get("python:3.13", f"{HTTP}:8000/", *words, files=files)
    assert "<title>Directory listing for /</title>" in listing
    assert '<li><a href="a%20b.txt">a b.txt</a></li>\n<li><a href="sub/">sub/</a></li>\n' in listing
    missing = get("python", f"{HTTP}:8000/no", *words, files=files)
    assert "<p>Message: File not found.</p>" in missing


def test_busyboxs_httpd_serves_a_folder_in_the_background_too() -> None:
    files = {"/www/index.html": b"<p>hi"}
    assert get("busybox", f"{HTTP}:8080/", "httpd", "-f", "-p", "8080", "-h", "/www", files=files) == "<p>hi"
    words = ("sh", "-c", "httpd -p 8080 -h /www && echo started; sleep 1000")
    assert get("busybox", f"{HTTP}:8080/", *words, files=files) == "<p>hi"
    missing = get("busybox", f"{HTTP}:8080/x", *words, files=files)
    assert missing.endswith("<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n")


def test_http_https_echo_tells_what_it_was_asked() -> None:
    document = json.loads(get("mendhak/http-https-echo:35", f"{HTTP}:8080/a?b=c", options=("-H", "X-Y: z")))
    assert (document["path"], document["query"], document["protocol"]) == ("/a", {"b": "c"}, "http")
    assert document["headers"]["x-y"] == "z" and document["os"] == {"hostname": "server"}


def test_nginx_hello_says_who_it_is() -> None:
    lines = get("nginxdemos/hello:plain-text", f"{HTTP}/a?b").splitlines()
    assert lines[:2] == ["Server address: 10.244.1.3:80", "Server name: server"]
    assert lines[3] == "URI: /a?b" and lines[4].startswith("Request ID: ") and len(lines[4]) == 44
    assert "<title>Hello World</title>" in get("docker.io/nginxdemos/hello", f"{HTTP}/")
