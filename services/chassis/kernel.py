"""Programming a machine's kernel: numbered requests whose outcome is always known.

After a timeout the same sequence is sent again; the machine answers it with the stored reply if it was applied. A
machine that has booted since is another one: the process ends, as its container did.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kernel as messages
from podwire.services.chassis.bus import base, pieces
from podwire.services.chassis.context import Context, ProcessEnd

_TIMEOUT: Final = 5.0
_ATTEMPTS: Final = 6
_PAUSE: Final = 0.3
_STALE: Final = "ESTALE"

Family = Literal["ipv4", "ipv6"]


class KernelUnavailable(Exception):
    """The machine does not answer; what was asked may or may not have been applied."""


class KernelRefused(Exception):
    """An operation failed: its index, the errno's name and the kernel's message."""

    def __init__(self, failure: messages.Failure) -> None:
        super().__init__(f"operation {failure.index}: {failure.name}: {failure.message}")
        self.failure = failure


async def boot_id_of(context: Context, node: str) -> str:
    """The boot id of a machine, asked for as often as it takes to get an answer."""
    request = messages.Program(requester="", epoch=0, sequence=0, boot_id="", operations=())
    while True:
        try:
            answer = await pieces.request(context.bus, subjects.kernel(node), codec.encode(request), _TIMEOUT)
            return codec.decode(messages.Programmed, answer).boot_id
        except (base.BusError, codec.ForeignMessage):
            await asyncio.sleep(_PAUSE)


class KernelClient:
    """One requester's calls to one machine's kernel."""

    def __init__(self, context: Context, node: str, requester: str, boot_id: str) -> None:
        self.boot_id = boot_id
        self._context, self._requester = context, requester
        self._subject = subjects.kernel(node)
        self._epoch = context.clock.now_ns()
        self._sequence = 0
        self._turn = asyncio.Lock()

    async def program(self, operations: Sequence[messages.Operation]) -> tuple[Any, ...]:
        """Applies operations in one turn; their replies. Raises KernelRefused, KernelUnavailable, ProcessEnd."""
        async with self._turn:
            self._sequence += 1
            request = messages.Program(
                requester=self._requester,
                epoch=self._epoch,
                sequence=self._sequence,
                boot_id=self.boot_id,
                operations=tuple(operations),
            )
            answer = await self._ask(codec.encode(request))
        if answer.boot_id != self.boot_id:
            raise ProcessEnd("the machine has booted since")
        if answer.error is not None:
            if answer.error.index < 0 and answer.error.name == _STALE:
                raise ProcessEnd(f"fenced: {answer.error.message}")
            raise KernelRefused(answer.error)
        return answer.replies

    async def _ask(self, payload: bytes) -> messages.Programmed:
        for _ in range(_ATTEMPTS):
            try:
                answer = await pieces.request(self._context.bus, self._subject, payload, _TIMEOUT)
                return codec.decode(messages.Programmed, answer)
            except base.BusError:
                await asyncio.sleep(_PAUSE)
            except codec.ForeignMessage as error:
                raise KernelUnavailable(str(error)) from None
        raise KernelUnavailable(f"{self._subject}: no answer")

    async def read[T](
        self, kind: type[T], what: str, netns: str = "", table: str = "", family: Family = "ipv4"
    ) -> list[T]:
        """State read back as typed rows. Raises as `program`."""
        operation = messages.Read(netns=netns, kind=what, table=table, family=family)  # type: ignore[arg-type]  # checked at the machine
        [rows] = await self.program([operation])
        return msgspec.convert(rows, list[kind])  # type: ignore[valid-type]  # a type given at run time

    async def iptables_save(self, table: str = "", family: Family = "ipv4") -> str:
        """The rules as `iptables-save` or `ip6tables-save` prints them."""
        [text] = await self.program([messages.Read(kind="iptables-save", table=table, family=family)])
        return str(text)
