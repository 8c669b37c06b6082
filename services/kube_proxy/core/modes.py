"""The proxy modes: how each writes, what it reads back first, how it notices that it was flushed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.messages.kernel import NftRestore, Operation, Read
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.iptables import chains
from podwire.services.kube_proxy.core.iptables.book import IptablesBook
from podwire.services.kube_proxy.core.ipvs.book import IpvsBook
from podwire.services.kube_proxy.core.nftables.book import NftablesBook
from podwire.services.kube_proxy.core.nftables.names import FAMILY_WORDS, TABLE
from podwire.services.kube_proxy.core.rulebook import Rulebook
from podwire.services.kube_proxy.core.surroundings import Surroundings

REFUSED: Final = object()
"""Stands for the answer of a canary that was refused."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One mode. `canary` is asked now and then: what it answers tells whether the kernel was flushed."""

    title: str
    rulebook: Callable[[Surroundings], Rulebook]
    observes: tuple[str, ...]
    canary: Callable[[Family], Operation]
    is_intact: Callable[[Any], bool]
    writes_all_at_each_period: bool = False


IPTABLES: Final = Mode(
    title="iptables",
    rulebook=IptablesBook,
    observes=("iptables-save",),
    canary=lambda family: Read(kind="iptables-save", table="mangle", family=family),
    is_intact=lambda reply: f":{chains.CANARY} " in str(reply),
)

NFTABLES: Final = Mode(
    title="nftables",
    rulebook=NftablesBook,
    observes=("nft-ruleset",),
    # refused unless the table is there, and then without effect
    canary=lambda family: NftRestore(text=f"add chain {FAMILY_WORDS[family][0]} {TABLE} services\n"),
    is_intact=lambda reply: reply != REFUSED,
)

IPVS: Final = Mode(
    title="ipvs",
    rulebook=IpvsBook,
    observes=("iptables-save", "ipset-save", "ipvs-services", "links", "addresses"),
    canary=lambda family: Read(kind="ipvs-timeouts", family=family),
    is_intact=lambda reply: True,
    writes_all_at_each_period=True,
)

MODES: Final = {"iptables": IPTABLES, "ipvs": IPVS, "nftables": NFTABLES}
