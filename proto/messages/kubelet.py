"""What the API server asks a kubelet for: exec, attach, logs and port-forward, as streams of numbered frames.

The API server chooses a session id, subscribes to `stream.<node>.<session>.out` and asks on `kubelet.<node>`. The
kubelet subscribes to `stream.<node>.<session>.in` before it answers StreamOpened, and publishes nothing before that
answer. Frames are numbered from 1 in each direction; a gap means that frames were lost and ends the session. A side
that has nothing to say sends Alive every ALIVE_EVERY seconds; SILENCE_LIMIT seconds of silence end the session.

Flow control: each side may have WINDOW bytes of Data under way that the other has not credited; the receiver sends
Credit for what it has passed on. A sender that goes beyond ends the session. Exit and StreamError need no credit.
"""

from typing import Final

import msgspec

SCHEMA: Final = 1
ALIVE_EVERY: Final = 5
SILENCE_LIMIT: Final = 15
WINDOW: Final = 256 * 1024

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2


class ExecRequest(msgspec.Struct, frozen=True, kw_only=True, tag="exec"):
    """Run a command in a running container."""

    schema: int = SCHEMA
    session: str
    namespace: str
    pod: str
    uid: str
    container: str
    command: list[str]
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


class AttachRequest(msgspec.Struct, frozen=True, kw_only=True, tag="attach"):
    """Join the streams of a container's main program."""

    schema: int = SCHEMA
    session: str
    namespace: str
    pod: str
    uid: str
    container: str
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


class LogRequest(msgspec.Struct, frozen=True, kw_only=True, tag="log", omit_defaults=True):
    """Read a container's log; Data frames on channel STDOUT, then Exit."""

    schema: int = SCHEMA
    session: str
    namespace: str
    pod: str
    uid: str
    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_time: int | None = None
    """Nanoseconds since the epoch."""


class PortForwardRequest(msgspec.Struct, frozen=True, kw_only=True, tag="port_forward"):
    """One connection to a port of a pod's network namespace; STDIN is towards the pod, STDOUT from it.

    CloseStdin goes both ways, as TCP's half-close. Exit 0 follows when both sides have ended; another code's message
    says why there is no connection.
    """

    schema: int = SCHEMA
    session: str
    namespace: str
    pod: str
    uid: str
    port: int = 0


class PathRequest(msgspec.Struct, frozen=True, kw_only=True, tag="path"):
    """A path of the kubelet's own HTTP server. Answer: PathAnswer."""

    schema: int = SCHEMA
    session: str
    method: str
    path: str


type ContainerRequest = ExecRequest | AttachRequest | LogRequest
type StreamRequest = ContainerRequest | PortForwardRequest
type KubeletRequest = StreamRequest | PathRequest


class StreamOpened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """The session runs; frames follow."""

    schema: int = SCHEMA
    session: str


class StreamRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The session does not come about: an HTTP code, a Status reason and a message."""

    schema: int = SCHEMA
    code: int
    reason: str
    message: str


class PathAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="path_answer"):
    """What the kubelet's HTTP server says."""

    schema: int = SCHEMA
    code: int
    content_type: str
    body: bytes


type KubeletReply = StreamOpened | StreamRefused | PathAnswer


class Data(msgspec.Struct, frozen=True, tag="data"):
    """Bytes of one channel."""

    sequence: int
    channel: int
    data: bytes


class Resize(msgspec.Struct, frozen=True, tag="resize"):
    """The terminal's new size."""

    sequence: int
    width: int
    height: int


class Signal(msgspec.Struct, frozen=True, tag="signal"):
    """A signal for what runs in the foreground, by its name without SIG (RFC 4254 section 6.9). Machines only."""

    sequence: int
    name: str


class CloseStdin(msgspec.Struct, frozen=True, tag="close"):
    """No more input follows; of a port-forward, no more Data from the side that says so."""

    sequence: int


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """Nothing to say, but still there."""

    sequence: int


class Credit(msgspec.Struct, frozen=True, tag="credit"):
    """So many further bytes of Data may be sent."""

    sequence: int
    size: int


class Exit(msgspec.Struct, frozen=True, tag="exit"):
    """The program ended (the last frame): its exit code, or why it could not run."""

    sequence: int
    code: int
    message: str = ""


class StreamError(msgspec.Struct, frozen=True, tag="error"):
    """The session broke (the last frame)."""

    sequence: int
    message: str


type StreamFrame = Data | Resize | Signal | CloseStdin | Alive | Credit | Exit | StreamError
