"""One SSH session as a session of numbered frames with a machine (RFC 4254 section 6)."""

import asyncio
from typing import Final

import asyncssh

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import BusError, NoResponders
from podwire.services.chassis.context import Context
from podwire.services.chassis.frames import FrameSession, Received

_PATIENCE: Final = 10.0
_FAILED: Final = 255
"""What ssh ends with when it was not the command that failed."""
_NO_FILES: Final = "sftp and scp are not built: use ssh, as in: ssh node-1 'cat FILE' > FILE\n"


class MachineSession(asyncssh.SSHServerSession[bytes]):
    """A shell, or one command, on a machine; with a terminal if the client asked for one."""

    def __init__(self, context: Context, node: str) -> None:
        self._context, self._node = context, node
        self._name = f"{context.random.getrandbits(64):016x}"
        self._command = self._subsystem = ""
        self._terminal: tuple[str, int, int] | None = None
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._frames: FrameSession | None = None
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._running: list[asyncio.Task[None]] = []
        self._is_paused = False
        self._owed = 0
        self.is_over = False

    # -- what the client asks for

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        """The channel is open."""
        self._chan = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: object) -> bool:
        """A terminal of a kind and a size; its modes are the machine's own."""
        self._terminal = (term_type, term_size[0], term_size[1])
        return True

    def shell_requested(self) -> bool:
        """A login shell."""
        return True

    def exec_requested(self, command: str) -> bool:
        """One command line."""
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """sftp is taken only to say that it is not there."""
        self._subsystem = subsystem
        return subsystem == "sftp"

    def session_started(self) -> None:
        """Everything has been asked for."""
        if self._subsystem or self._command.startswith("scp -"):
            return self._fail(_NO_FILES)
        self._running.append(self._context.tasks.start(self._open(), name=f"ssh session {self._name}"))
        return None

    # -- from the client to the machine

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Input, taken piece by piece: the next one when this is under way."""
        assert self._chan is not None
        self._chan.pause_reading()
        self._input.put_nowait(data)

    def eof_received(self) -> bool:
        """No more input; output goes on."""
        self._input.put_nowait(b"")
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The window has another size."""
        if self._frames is not None:
            self._frames.resize(width, height)

    def signal_received(self, signal: str) -> None:
        """A signal by its name without SIG."""
        if self._frames is not None:
            self._frames.signal(signal)

    def break_received(self, msec: int) -> bool:
        """On a terminal a break interrupts (termios(3), BRKINT)."""
        self.signal_received("INT")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what it started is ended."""
        self.is_over = True
        if self._frames is not None:
            self._frames.fail("the client is gone")
        for task in self._running:
            task.cancel()

    async def _open(self) -> None:
        outgoing = subjects.stream_input(self._node, self._name)
        incoming = subjects.stream_output(self._node, self._name)
        self._frames = FrameSession(self._context.bus, outgoing, incoming, self._take)
        refusal = await self._ask()
        if self.is_over:
            return
        if refusal:
            self._fail(refusal)
            return
        for work, name in ((self._feed(), "input"), (self._frames.stay_alive(), "liveness")):
            self._running.append(self._context.tasks.start(work, name=f"ssh {name} {self._name}"))

    async def _ask(self) -> str:
        """Asks the machine; what it refused, "" if nothing."""
        await self._context.bus.flush()
        term, columns, rows = self._terminal or ("", 0, 0)
        shell = messages.Shell(
            session=self._name,
            command=self._command,
            stdin=True,
            tty=self._terminal is not None,
            term=term,
            columns=columns,
            rows=rows,
        )
        request = codec.encode(messages.MachineRequest(call=shell))
        try:
            payload = await pieces.request(self._context.bus, subjects.machine(self._node), request, _PATIENCE)
            answer: messages.Answer = codec.decode_union(messages.Answer, payload)
        except NoResponders:
            return f"{self._node}: no such machine, or it has no power (the user's name is the machine's)\n"
        except (BusError, codec.ForeignMessage) as error:
            return f"{self._node}: {error}\n"
        return f"{self._node}: {answer.message}\n" if isinstance(answer, messages.Refused) else ""

    async def _feed(self) -> None:
        assert self._frames is not None and self._chan is not None
        try:
            while data := await self._input.get():
                await self._frames.write(frames.STDIN, data)
                self._chan.resume_reading()
            self._frames.close_input()
        except BrokenPipeError:
            pass

    # -- from the machine to the client

    def _take(self, frame: Received) -> None:
        if self.is_over or self._chan is None:
            return
        if isinstance(frame, frames.Data):
            self._chan.write(frame.data, asyncssh.EXTENDED_DATA_STDERR if frame.channel == frames.STDERR else None)
            self._owed += len(frame.data)
            self._credit()
        elif isinstance(frame, frames.Exit):
            self._end(frame.code)
        elif isinstance(frame, frames.StreamError):
            self._fail(f"{self._node}: {frame.message}\n")

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._is_paused = False
        self._credit()

    def _credit(self) -> None:
        if not self._is_paused and self._owed and self._frames is not None:
            owed, self._owed = self._owed, 0
            self._frames.consumed(owed)

    def _fail(self, text: str) -> None:
        if self._chan is not None and not self.is_over:
            self._chan.write(text.encode(), asyncssh.EXTENDED_DATA_STDERR)
            self._end(_FAILED)

    def _end(self, code: int) -> None:
        assert self._chan is not None
        if not self.is_over:
            self.is_over = True
            self._chan.exit(code)
