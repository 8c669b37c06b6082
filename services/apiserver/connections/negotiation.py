"""What an upgrade request asks for, and the answer's headers."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from podwire.services.apiserver.core.errors import ApiError, bad_request
from podwire.services.apiserver.core.remote_command import negotiate

SPDY: Final = "spdy/3.1"
WEBSOCKET: Final = "websocket"
_VERSION: Final = "X-Stream-Protocol-Version"


def upgrade_of(request: web.Request) -> str:
    """What the connection is to become: SPDY or WEBSOCKET. Raises ApiError 400 for anything else."""
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade not in (SPDY, WEBSOCKET) or "upgrade" not in request.headers.get("Connection", "").lower():
        raise bad_request("Upgrade request required")
    return upgrade


def _names(values: Sequence[str]) -> list[str]:
    return [name for value in values for part in value.split(",") if (name := part.strip())]


def spdy_version(request: web.Request, served: Sequence[str]) -> str:
    """The protocol to speak over SPDY. Raises ApiError 403 where there is none."""
    return _agreed(_names(request.headers.getall(_VERSION, [])), served)


def websocket_version(request: web.Request, served: Sequence[str]) -> str:
    """The subprotocol to speak over WebSocket. Raises ApiError 403 where there is none."""
    return _agreed(_names(request.headers.getall("Sec-WebSocket-Protocol", [])), served)


def _agreed(offered: list[str], served: Sequence[str]) -> str:
    version = negotiate(offered, served)
    if version is None:
        text = f"unable to negotiate protocol: client supports {offered}, server accepts {list(served)}"
        raise ApiError(403, "Forbidden", f"unable to upgrade: {text}")
    return version


def spdy_upgrade(version: str) -> dict[str, str]:
    """The headers of `101 Switching Protocols`."""
    return {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", _VERSION: version}
