"""Which image a name means: a table row each; what no row has is the generic server."""

from collections.abc import Callable
from typing import Final

from podwire.services.node.images import nginx
from podwire.services.node.images.generic import Ports, generic_image
from podwire.services.node.images.image import Image
from podwire.services.node.process import Program
from podwire.services.node.programs.toolboxes import BUSYBOX, CURL_DEBIAN, HOST

_PATH: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def _nginx(name: str) -> Image:
    return Image(
        name=name,
        entrypoint=("/docker-entrypoint.sh",),
        arguments=("nginx", "-g", "daemon off;"),
        programs={**CURL_DEBIAN, "nginx": nginx.nginx, "docker-entrypoint.sh": nginx.docker_entrypoint},
        files={f"{nginx.ROOT}/index.html": nginx.WELCOME, f"{nginx.ROOT}/50x.html": nginx.ERROR_50X},
        environment={**_PATH, "NGINX_VERSION": nginx.VERSION.partition("/")[2]},
    )


def _busybox(name: str) -> Image:
    return Image(name=name, arguments=("sh",), programs=BUSYBOX, environment=_PATH)


_ROWS: Final[dict[str, Callable[[str], Image]]] = {
    "nginx": _nginx,
    "busybox": _busybox,
}


def last_component(name: str) -> str:
    """The repository's last component, without registry, tag and digest."""
    return name.partition("@")[0].rpartition("/")[2].partition(":")[0]


def find_image(name: str, ports: Ports) -> Image:
    """The image of a name; for one that nobody knows the generic server on the declared (protocol, port)s."""
    row = _ROWS.get(last_component(name))
    return generic_image(name, ports, dict(BUSYBOX)) if row is None else row(name)


def host_programs() -> dict[str, Program]:
    """The programs of a machine."""
    return dict(HOST)
