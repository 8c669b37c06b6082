"""nginx with configurations that people mount: what it serves, what -t says, what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import Server, serve_bytes, serve_dns, serve_image, talk
from surroundings import SERVER, Machine, Result

from podwire.services.node.images.catalogue import find_image
from podwire.services.node.images.nginx import nginx
from podwire.services.node.images.nginx_config import PATH, BadConfig, read_config

PLACE = "/etc/nginx/conf.d/default.conf"
SITE = """
server {
    listen 8080 default_server;
    server_name first;
    root /www;
    add_header X-Site one;
    location = /exact { return 200 'exact $host'; }
    location /old { return 301 /new; }
    location /gone { return 410; }
    location /files/ { alias /data/; }
    location ~ \\.php$ { return 403 "no php\\n"; }
    location ^~ /raw { return 200 raw; }
    location /app/ { try_files $uri $uri/ /app/index.html; }
    location /api/ { proxy_pass http://web:9000/v1/; proxy_set_header X-Real-IP $remote_addr; }
    location /down/ { proxy_pass http://web:9001; }
    error_page 404 /404.html;
}
server { listen 8080; server_name second *.third; location / { return 200 "second"; } }
"""
FILES = {
    "/www/index.html": b"front",
    "/www/404.html": b"nothing here",
    "/www/app/index.html": b"app",
    "/www/app/a.js": b"js",
    "/data/f.txt": b"file",
}


def serving(text: str) -> Server:
    """nginx with this as its only server file."""

    async def server(machine: Machine) -> None:
        machine.folder.write("/etc/nginx/nginx.conf", b"events {} http { include /etc/nginx/conf.d/*.conf; }")
        machine.folder.write(PLACE, text.encode())
        for path, data in FILES.items():
            machine.folder.write(path, data)
        process = machine.process(["nginx"], machine.nobody, bytearray(), bytearray(), "server")
        await nginx(process)

    return server


async def upstream(machine: Machine) -> None:
    await serve_bytes(machine, 9000, b"HTTP/1.1 201 Created\r\nX-Up: y\r\nContent-Length: 2\r\n\r\nup")


@pytest.mark.parametrize(
    ("path", "host", "output"),
    [
        ("/", "first", "front 200"),
        ("/exact", "first", "exact first 200"),
        ("/exact/", "first", "nothing here 404"),
        ("/gone", "first", None),
        ("/files/f.txt", "first", "file 200"),
        ("/a.php", "first", "no php\n 403"),
        ("/raw/a.php", "first", "raw 200"),
        ("/app/a.js", "first", "js 200"),
        ("/app/any/where", "first", "app 200"),
        ("/nosuch", "first", "nothing here 404"),
        ("/api/x?y", "first", "up 201"),
        ("/", "second", "second 200"),
        ("/", "a.third", "second 200"),
        ("/", "unknown", "front 200"),
        ("/down/", "first", None),
    ],
)
def test_what_is_served(path: str, host: str, output: str | None) -> None:
    words = ["curl", "-s", "-H", f"Host: {host}", "-w", " %{http_code}", f"http://{SERVER}:8080{path}"]
    found = talk(words, serve_dns, upstream, serving(SITE)).out
    codes = {"/gone": "410", "/down/": "502"}
    assert found == output if output is not None else found.endswith(codes[path])


def test_redirects_and_headers() -> None:
    output = talk(["curl", "-si", f"http://{SERVER}:8080/old"], serving(SITE)).out
    assert f"Location: http://{SERVER}:8080/new\r\n" in output and "X-Site: one\r\n" in output


def run_nginx(*words: str, text: str) -> Result:
    """One run of the command, with its image's files."""
    files = dict(find_image("nginx", []).files)
    return talk(["nginx", *words], program=nginx, files={**files, PLACE: text.encode()})


def test_the_test_of_a_configuration() -> None:
    good = run_nginx("-t", text=SITE)
    assert (good.code, good.err) == (
        0,
        f"nginx: the configuration file {PATH} syntax is ok\nnginx: configuration file {PATH} test is successful\n",
    )
    shown = run_nginx("-T", text=SITE)
    assert f"# configuration file {PLACE}:\n{SITE}" in shown.out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server { nosuch x; }", f'directive "nosuch" is not built in podwire in {PLACE}:1'),
        ("server {\n rewrite a b;\n}", f'directive "rewrite" is not built in podwire in {PLACE}:2'),
        ("server { listen 443 ssl; }", f'"listen ... ssl" is not built in podwire in {PLACE}:1'),
        ("server { listen 80", f'unexpected end of file, expecting ";" in {PLACE}:1'),
        ("server { listen 80;", f'unexpected end of file, expecting "}}" in {PLACE}:1'),
        ("}", f'unexpected "}}" in {PLACE}:1'),
        ("server { listen 99999; }", f'invalid port in "99999" of the "listen" directive in {PLACE}:1'),
        ("server { location ~ ( { } }", f'"(": bad regex in {PLACE}:1'),
        ("server { location / { proxy_pass https://a; } }", "is not built in podwire: http:// is"),
        ("server { return 999; }", f'invalid return code "999" in {PLACE}:1'),
        ("include /nosuch;", f'open() "/nosuch" failed (2: No such file or directory) in {PLACE}:1'),
        (f"include {PLACE};", "too many files are included"),
    ],
)
def test_what_is_refused(text: str, complaint: str) -> None:
    result = run_nginx("-t", text=text)
    assert result.code == 1 and complaint in result.err
    assert run_nginx(text=text).code == 1


def test_a_reload_reads_the_files_anew() -> None:
    async def scene(machine: Machine) -> list[str]:
        import asyncio

        server = asyncio.get_running_loop().create_task(serving("server { return 200 one; }")(machine))
        await asyncio.sleep(0.001)
        found = [(await machine.run(["curl", "-s", SERVER])).out]
        machine.folder.write(PLACE, b"server { return 200 two; }")
        found.append((await machine.run(["curl", "-s", SERVER])).out)
        assert (await machine.run(["nginx", "-s", "reload"], program=nginx)).code == 0
        found.append((await machine.run(["curl", "-s", SERVER])).out)
        server.cancel()
        return found

    assert Machine().play(scene) == ["one", "one", "two"]


@given(st.text(alphabet="server listen80{};~^=/ \"'#\n\\$location return", max_size=80))
def test_any_text_is_read_or_refused_by_one_error(text: str) -> None:
    try:
        read_config(lambda path: [(path, text)] if path == PATH else [])
    except BadConfig:
        return


def test_the_image_serves_as_before() -> None:
    async def server(machine: Machine) -> None:
        await serve_image(machine, "nginx")

    assert "Welcome to nginx!" in talk(["curl", "-s", SERVER], server).out
