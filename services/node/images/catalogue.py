"""Which image a name means: a table row each; what no row has is the generic server."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from podwire.services.node.images import echoes, nginx, redis, redis_cli, web
from podwire.services.node.images.agnhost.command import agnhost
from podwire.services.node.images.agnhost.pause import pause
from podwire.services.node.images.generic import Ports, generic_image
from podwire.services.node.images.image import Image
from podwire.services.node.images.python import VERSION, python
from podwire.services.node.network.resolv_conf import Library
from podwire.services.node.process import Process, Program
from podwire.services.node.programs import toolboxes
from podwire.services.node.programs.curl import curl
from podwire.services.node.runtime.programs import find_program

_PATH: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def _nginx(name: str) -> Image:
    return Image(
        name=name,
        entrypoint=("/docker-entrypoint.sh",),
        arguments=("nginx", "-g", "daemon off;"),
        programs={**toolboxes.CURL_DEBIAN, "nginx": nginx.nginx, "docker-entrypoint.sh": nginx.docker_entrypoint},
        files={
            f"{nginx.ROOT}/index.html": nginx.WELCOME,
            f"{nginx.ROOT}/50x.html": nginx.ERROR_50X,
            "/etc/nginx/nginx.conf": nginx.NGINX_CONF,
            "/etc/nginx/conf.d/default.conf": nginx.DEFAULT_CONF,
        },
        environment={**_PATH, "NGINX_VERSION": nginx.VERSION.partition("/")[2]},
    )


def _httpd(name: str) -> Image:
    return Image(
        name=name,
        arguments=("httpd-foreground",),
        programs={**toolboxes.DEBIAN, "httpd-foreground": web.httpd},
        files={f"{web.HTTPD_ROOT}/index.html": web.HTTPD_INDEX},
        environment={**_PATH, "HTTPD_PREFIX": "/usr/local/apache2"},
    )


def _redis(name: str) -> Image:
    return Image(
        name=name,
        arguments=("redis-server",),
        programs={**toolboxes.DEBIAN, "redis-server": redis.redis_server, "redis-cli": redis_cli.redis_cli},
        environment={**_PATH, "REDIS_VERSION": redis.VERSION},
    )


def _server(program: str, run: Program, tools: dict[str, Program]) -> Callable[[str], Image]:
    """An image whose entrypoint is one program."""

    def make(name: str) -> Image:
        return Image(name=name, entrypoint=(f"/{program}",), programs={**tools, program: run}, environment=_PATH)

    return make


def _tools(tools: dict[str, Program], command: str) -> Callable[[str], Image]:
    """An image of programs, with what it runs by default."""

    def make(name: str) -> Image:
        return Image(name=name, arguments=(command,), programs=tools, environment=_PATH)

    return make


def _busybox(name: str) -> Image:
    """1.28 and earlier have another nslookup."""
    match = re.search(r":1\.(\d{1,2})(?:\D|$)", name)
    is_old = match is not None and int(match.group(1)) < 29
    return _tools(toolboxes.OLD_BUSYBOX if is_old else toolboxes.BUSYBOX, "sh")(name)


async def _curl_entrypoint(process: Process) -> int:
    """Runs curl, unless the first word is a program (curlimages/curl's entrypoint.sh)."""
    words = process.arguments[1:]
    program = find_program(process.programs, words[0]) if words else None
    if program is None:
        return await curl(process.with_arguments(["curl", *words]))
    return await program(process.with_arguments(words))


def _curl(name: str) -> Image:
    programs = {**toolboxes.CURL_ALPINE, "entrypoint.sh": _curl_entrypoint}
    return Image(name=name, entrypoint=("/entrypoint.sh",), arguments=("curl",), programs=programs, environment=_PATH)


def _python(name: str) -> Image:
    programs = {**toolboxes.CURL_DEBIAN, "python": python, "python3": python}
    return Image(name=name, arguments=("python3",), programs=programs, environment={**_PATH, "PYTHON_VERSION": VERSION})


def _nginx_hello(name: str) -> Image:
    """nginxdemos/hello, whose tags that end in `plain-text` answer in text."""
    programs = {**toolboxes.ALPINE, "nginx": echoes.nginx_hello(plain=name.endswith("plain-text"))}
    return Image(name=name, arguments=("nginx", "-g", "daemon off;"), programs=programs, environment=_PATH)


_AGNHOST: Final = {**toolboxes.CURL_ALPINE, **toolboxes.NETWORK_TOOLS}


def _without_programs(name: str) -> Image:
    """An image of one binary (scratch, distroless): nothing else can be run in it."""
    return Image(name=name, programs={}, environment=_PATH)


_ROWS: Final[dict[str, Callable[[str], Image]]] = {
    "agnhost": _server("agnhost", agnhost, _AGNHOST),
    "alpine": _tools(toolboxes.ALPINE, "sh"),
    "bash": _tools(toolboxes.CURL_DEBIAN, "bash"),
    "busybox": _busybox,
    "centos": _tools({**toolboxes.CURL_DEBIAN, **toolboxes.PROCPS}, "bash"),
    "coredns": _without_programs,
    "curl": _curl,
    "debian": _tools(toolboxes.DEBIAN, "bash"),
    "dnsutils": _tools(toolboxes.NETWORK_TOOLS, "sh"),
    "echo-server": _server("echo-server", web.echo_server, toolboxes.ALPINE),
    "echoserver": _server("echo-server", web.echo_server, toolboxes.ALPINE),
    "flannel": _tools(toolboxes.NETWORK_TOOLS, "sh"),
    "fedora": _tools(toolboxes.CURL_DEBIAN, "bash"),
    "http-echo": _server("http-echo", web.http_echo, {}),
    "http-https-echo": _server("http-https-echo", echoes.http_https_echo, toolboxes.ALPINE),
    "httpd": _httpd,
    "jessie-dnsutils": _tools(toolboxes.NETWORK_TOOLS, "sh"),
    "kube-apiserver": _without_programs,
    "kube-controller-manager": _without_programs,
    "kube-proxy": _tools(toolboxes.NETWORK_TOOLS, "sh"),
    "kube-scheduler": _without_programs,
    "netshoot": _tools(toolboxes.NETWORK_TOOLS, "bash"),
    "nginx": _nginx,
    "nginxdemos/hello": _nginx_hello,
    "pause": _server("pause", pause, {}),
    "python": _python,
    "redis": _redis,
    "ubuntu": _tools({**toolboxes.DEBIAN, **toolboxes.PROCPS}, "bash"),
    "whoami": _server("whoami", web.whoami, {}),
}


def last_component(name: str) -> str:
    """The repository's last component, without registry, tag and digest."""
    return name.partition("@")[0].rpartition("/")[2].partition(":")[0]


_MUSL: Final = (
    "agnhost",
    "alpine",
    "busybox",
    "curl",
    "echo-server",
    "http-https-echo",
    "netshoot",
    "nginxdemos/hello",
)
"""Images that are built on Alpine, or with musl; of others those whose tag says so."""


def _library(name: str, component: str, owner: str) -> Library:
    """The C library of an image's programs."""
    tag = name.rpartition("/")[2].partition(":")[2]
    is_musl = component in _MUSL or f"{owner}/{component}" in _MUSL or "alpine" in tag or "musl" in tag
    return "musl" if is_musl and "glibc" not in tag else "glibc"


def find_image(name: str, ports: Ports) -> Image:
    """The image of a name; for one that nobody knows the generic server on the declared (protocol, port)s."""
    component = last_component(name)
    owner = name.partition("@")[0].rpartition("/")[0].rpartition("/")[2]
    row = _ROWS.get(f"{owner}/{component}") or _ROWS.get(component)
    image = generic_image(name, ports, toolboxes.CURL_ALPINE) if row is None else row(name)
    return replace(image, library=_library(name, component, owner))


def host_programs() -> dict[str, Program]:
    """The programs of a machine."""
    return dict(toolboxes.HOST)
