"""Transactions on tables that are changed in place: each is judged as if the whole table were new, or leaves no trace.

The oracle is a kernel that is given all that the other one holds, as text, and then the same change.
"""

from collections.abc import Callable, Sequence
from typing import Final

import pytest
from topology import Chance

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.printing.iptables import iptables_save
from podwire.services.node.kernel.printing.nftables import nft_ruleset
from podwire.services.node.kernel.programming import apply_operation

TEXTS: Final = 120
Lines = dict[str, int]
"""What a line may be, and how often; `{c}` and the like are drawn."""

IPTABLES: Final[Lines] = {
    ":{c} - [0:0]": 2,
    "-A {c} -j {c}": 6,
    "-I {hook} {match} -j {c}": 2,
    "-A {c} {match} -j {target}": 3,
    "-D {c} 1": 5,
    "-D {hook} 1": 2,
    "-R {c} 1 -j {c}": 2,
    "-F {c}": 2,
    "-X {c}": 4,
    "-N {c}": 8,
    "-E {c} {c}": 1,
}
NFTABLES: Final[Lines] = {
    "add chain ip t {c}": 5,
    "add chain ip t base {{ type nat hook postrouting priority 0; }}": 1,
    "add rule ip t {c} jump {c}": 6,
    "add rule ip t {c} {target}": 2,
    "add rule ip t {c} ip daddr vmap @{s}": 4,
    "delete rule ip t {c} index 0": 4,
    "flush chain ip t {c}": 2,
    "delete chain ip t {c}": 4,
    "add map ip t {s} {{ type ipv4_addr : verdict; }}": 3,
    "add element ip t {s} {{ {key} : goto {c} }}": 8,
    "delete element ip t {s} {{ {key} }}": 3,
    "flush map ip t {s}": 2,
    "delete map ip t {s}": 3,
    "flush table ip t": 1,
}
WORDS: Final = {
    "c": "ABCDEF",
    "s": "mn",
    "hook": ["PREROUTING", "OUTPUT", "POSTROUTING"],
    "match": ["", "-m conntrack --ctstate NEW", "-d 10.0.0.1/32"],
    "target": ["MASQUERADE", "DNAT --to-destination 10.0.0.9", "RETURN"],
    "key": ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
}
NFT_WORDS: Final = {**WORDS, "c": ["a", "b", "c", "d", "e", "base"], "target": ["masquerade", "accept"]}
NFT_BASE: Final = "add table ip t\nadd chain ip t base { type nat hook postrouting priority 0; }\n"


def _drawn[T](chance: Chance, choices: Sequence[T]) -> T:
    return choices[chance.getrandbits(30) % len(choices)]


def _text(chance: Chance, lines: Lines, words: dict[str, str | list[str]]) -> str:
    """One to four lines."""
    weighted = [line for line, weight in lines.items() for _ in range(weight)]
    return "".join(
        _filled(chance, _drawn(chance, weighted), words) + "\n" for _ in range(_drawn(chance, (1, 1, 1, 2, 4)))
    )


def _filled(chance: Chance, line: str, words: dict[str, str | list[str]]) -> str:
    """A line whose words are drawn one by one: the two chains of a jump may differ."""
    for name, choices in words.items():
        while f"{{{name}}}" in line:
            line = line.replace(f"{{{name}}}", _drawn(chance, choices), 1)
    return line.replace("{{", "{").replace("}}", "}")


def _answer(kernel: Kernel, operation: m.Operation) -> str:
    """What the kernel says against it, "" if nothing."""
    try:
        apply_operation(kernel, operation)
    except KernelError as error:
        return str(error.strerror)
    return ""


def _compare(
    change: m.Operation, kernel: Kernel, restoring: Callable[[str], m.Operation], listed: Callable[[Kernel], str]
) -> bool:
    """Whether the change was made."""
    before, oracle = listed(kernel), Kernel("node-1", "boot", Chance())
    apply_operation(oracle, restoring(before))
    answer = _answer(kernel, change)
    assert answer == _answer(oracle, change)
    assert _lines(listed(kernel)) == _lines(before if answer else listed(oracle))
    assert kernel.root.netfilter.tracks == oracle.root.netfilter.tracks
    return not answer


def _lines(text: str) -> list[str]:
    """Elements are listed in no order."""
    return sorted("".join(sorted(line)) for line in text.splitlines())


@pytest.mark.parametrize("seed", range(6))
def test_iptables_texts_are_judged_as_if_the_table_were_new_and_refused_ones_change_nothing(seed: int) -> None:
    chance, kernel, made = Chance(seed), Kernel("node-1", "boot", Chance()), 0
    apply_operation(kernel, m.IptablesRestore(text="*nat\nCOMMIT\n"))
    for _ in range(TEXTS):
        text = f"*nat\n{_text(chance, IPTABLES, WORDS)}COMMIT\n"
        made += _compare(
            m.IptablesRestore(text=text, noflush=True),
            kernel,
            lambda before: m.IptablesRestore(text=before),
            lambda each: iptables_save(each.root.netfilter),
        )
    assert TEXTS // 10 < made < TEXTS


@pytest.mark.parametrize("seed", range(6))
def test_nft_texts_are_judged_as_if_the_table_were_new_and_refused_ones_change_nothing(seed: int) -> None:
    chance, kernel, made = Chance(seed), Kernel("node-1", "boot", Chance()), 0
    apply_operation(kernel, m.NftRestore(text=NFT_BASE))
    for _ in range(TEXTS):
        made += _compare(
            m.NftRestore(text=_text(chance, NFTABLES, NFT_WORDS)),
            kernel,
            lambda before: m.NftRestore(text=before),
            lambda each: nft_ruleset(each.root),
        )
    assert TEXTS // 10 < made < TEXTS


def test_a_chain_that_is_deleted_and_made_anew_in_one_text_uses_nothing_any_more() -> None:
    kernel = Kernel("node-1", "boot", Chance())
    apply_operation(kernel, m.IptablesRestore(text="*nat\n-N A\n-N B\n-A A -j B\nCOMMIT\n"))
    apply_operation(kernel, m.IptablesRestore(text="*nat\n-F A\n-X A\n-N A\nCOMMIT\n", noflush=True))
    assert not _answer(kernel, m.IptablesRestore(text="*nat\n-X B\nCOMMIT\n", noflush=True))


def test_a_map_that_is_emptied_and_deleted_in_one_text_uses_nothing_any_more() -> None:
    kernel = Kernel("node-1", "boot", Chance())
    chain, made = (
        "add chain ip t a\n",
        "add map ip t m { type ipv4_addr : verdict; elements = { 10.0.0.1 : goto a }; }\n",
    )
    apply_operation(kernel, m.NftRestore(text=NFT_BASE + chain + made))
    apply_operation(kernel, m.NftRestore(text="flush map ip t m\ndelete map ip t m\n"))
    assert not _answer(kernel, m.NftRestore(text="delete chain ip t a\n"))
