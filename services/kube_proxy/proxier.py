"""The shell of one family: has the fold's changes written into the machine's kernel."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from podwire.proto.messages import kernel as messages
from podwire.proto.messages.kernel import Operation, Read
from podwire.services.chassis.kernel import KernelClient, KernelRefused
from podwire.services.kube_proxy.core.fold import Change, Fold
from podwire.services.kube_proxy.core.ipvs.book import DUMMY
from podwire.services.kube_proxy.core.leftovers import leftovers
from podwire.services.kube_proxy.core.modes import REFUSED, Mode
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.stale_flows import stale_flows
from podwire.services.kube_proxy.core.surroundings import Surroundings


class Proxier:
    """Knows whether the kernel holds what the rulebook believes; if not, everything is written anew."""

    def __init__(self, kernel: KernelClient, fold: Fold, mode: Mode, around: Surroundings) -> None:
        self.fold = fold
        self.family = fold.family
        self.mode = mode.title
        self._kernel, self._mode, self._around = kernel, mode, around
        self._rulebook = mode.rulebook(around)
        self._must_write_all = True
        self._must_clean_up = True

    @property
    def rules(self) -> dict[str, int]:
        """How many rules it has written, by table."""
        return dict(self._rulebook.rules)

    def write_all(self) -> None:
        """The next sync writes everything."""
        self._must_write_all = True

    async def sync(self) -> bool:
        """Writes what has changed; whether everything was written.

        Raises KernelRefused, KernelUnavailable, ProcessEnd; the next sync then writes everything.
        """
        changes = self.fold.take()
        everything, self._must_write_all = self._must_write_all, True
        if everything:
            operations = self._rulebook.full(self.fold.states, await self._observe())
        else:
            operations = self._rulebook.update(changes)
        await self._program(operations)
        await self._follow_up()
        self._must_write_all = False
        if everything and self._must_clean_up:
            await self._program(leftovers(self._mode.title, self.family, await self._read(_LEFT_BEHIND)))
            self._must_clean_up = False
        if everything or any(_is_udp(change) for change in changes):
            await self._forget_stale_flows()
        return everything

    async def check(self) -> None:
        """Looks whether somebody has flushed what is ours: then the next sync writes everything."""
        if self._mode.writes_all_at_each_period:
            self._must_write_all = True
        elif not self._must_write_all:
            try:
                [reply] = await self._kernel.program([self._mode.canary(self.family)])
            except KernelRefused:
                reply = REFUSED
            self._must_write_all = not self._mode.is_intact(reply)

    async def _program(self, operations: Sequence[Operation]) -> None:
        if operations:
            await self._kernel.program(operations)

    async def _follow_up(self) -> None:
        """ipvs mode asks about servers that were told to take no more connections."""
        if questions := self._rulebook.follow_up():
            replies = await self._kernel.program(questions)
            services = [row for reply in replies for row in msgspec.convert(reply, list[messages.IpvsService])]
            await self._program(self._rulebook.followed(services))

    async def _forget_stale_flows(self) -> None:
        [flows] = await self._kernel.program([Read(kind="conntrack", family=self.family)])
        await self._program(stale_flows(msgspec.convert(flows, list[messages.Flow]), self.fold.states.values()))

    async def _observe(self) -> Observed:
        return await self._read(self._mode.observes)

    async def _read(self, what: Sequence[str]) -> Observed:
        replies = await self._kernel.program([Read(kind=kind, family=self.family) for kind in what])  # type: ignore[arg-type]  # of _READERS
        found: dict[str, Any] = {}
        for kind, reply in zip(what, replies, strict=True):
            found |= _READERS[kind](reply)
        return Observed(**found)


_LEFT_BEHIND: Final = ("iptables-save", "ipset-save", "ipvs-services", "links")


def _is_udp(change: Change) -> bool:
    return change.key[1] == "udp"


def _addresses(reply: Any) -> dict[str, Any]:
    rows = msgspec.convert(reply, list[messages.LinkAddress])
    return {"addresses": {row.address.partition("/")[0]: row.device for row in rows}}


_READERS: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "nft-ruleset": lambda reply: {"nftables": str(reply)},
    "iptables-save": lambda reply: {"iptables": str(reply)},
    "ipset-save": lambda reply: {"ipsets": str(reply)},
    "addresses": _addresses,
    "links": lambda reply: {"has_dummy": any(row.name == DUMMY for row in msgspec.convert(reply, list[messages.Link]))},
    "ipvs-services": lambda reply: {"virtual_services": tuple(msgspec.convert(reply, list[messages.IpvsService]))},
}
