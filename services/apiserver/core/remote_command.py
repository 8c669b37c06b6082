"""Kubernetes' remote command protocol: its versions, how one is agreed on, and how a program's end is told.

Source: apimachinery `pkg/util/remotecommand/constants.go`, `pkg/util/httpstream/httpstream.go` (Handshake), kubelet
`pkg/cri/streaming/remotecommand/{exec,httpstream,websocket}.go`.
"""

from collections.abc import Sequence
from typing import Final

from podwire.services.apiserver.core.json_types import Json, to_json

V1: Final = "channel.k8s.io"
V4: Final = "v4.channel.k8s.io"
V5: Final = "v5.channel.k8s.io"
SPDY_VERSIONS: Final = (V4, "v3.channel.k8s.io", "v2.channel.k8s.io", V1)
WEBSOCKET_VERSIONS: Final = (V5, V4, "v4.base64.channel.k8s.io", V1, "base64.channel.k8s.io")
_TERMINAL_SIZES: Final = (V4, "v3.channel.k8s.io")
_STATUS_OBJECTS: Final = (V5, V4, "v4.base64.channel.k8s.io")


def negotiate(offered: Sequence[str], served: Sequence[str]) -> str | None:
    """The client's first version that is served; V1 for a client that names none; None for no agreement."""
    if not offered:
        return V1
    return next((version for version in offered if version in served), None)


def is_base64(version: str) -> bool:
    """Whether messages are text: the channel's digit, then base64."""
    return "base64" in version


def expected_streams(version: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> dict[str, None]:
    """The SPDY streams (by header streamType) that a client opens before the program's streams are joined."""
    wanted = {
        "error": True,
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr and not tty,
        "resize": tty and version in _TERMINAL_SIZES,
    }
    return {name: None for name, is_wanted in wanted.items() if is_wanted}


def exit_status(code: int, message: str) -> Json:
    """The Status of a program's end; a negative code is a session that broke."""
    status: Json = {"metadata": {}}
    if code == 0 and not message:
        return status | {"status": "Success"}
    if code < 0 or (message and code == 0):
        return status | {"status": "Failure", "message": message, "reason": "InternalError", "code": 500}
    text = message or f"command terminated with non-zero exit code: exit status {code}"
    return status | {
        "status": "Failure",
        "message": text,
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def status_bytes(version: str, code: int, message: str) -> bytes:
    """What goes over the error stream at the end: the Status itself from v4 on, before that its text, if it failed."""
    status = exit_status(code, message)
    if version in _STATUS_OBJECTS:
        return to_json(status)
    return str(status.get("message", "")).encode()
