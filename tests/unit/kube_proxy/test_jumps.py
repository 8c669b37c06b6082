"""Jumps into our chains: added once, found again in what the kernel prints, whatever the order of their matches."""

import pytest

from podwire.services.chassis.iptables import chains_of, missing_jumps, rules_by_table
from podwire.services.kube_proxy.core.iptables.chains import JUMPS

SAVED = """*filter
:FORWARD ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
{rule}
COMMIT
"""
JUMP = ("filter", "FORWARD", "KUBE-FORWARD", ("-m", "comment", "--comment", "kubernetes forwarding rules"))


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ('-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD', 0),
        ('[12:840] -A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD', 0),
        ("-A FORWARD -j KUBE-FORWARD", 1),
        ('-A INPUT -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD', 1),
        ("", 1),
    ],
)
def test_a_jump_is_found_or_missing(rule: str, missing: int) -> None:
    assert len(missing_jumps(SAVED.format(rule=rule), [JUMP])) == missing


def test_where_a_jump_is_added() -> None:
    [front] = missing_jumps("", [JUMP])
    [end] = missing_jumps("", [JUMP], append=True)
    assert (front.arguments[2], end.arguments[2]) == ("-I", "-A")  # type: ignore[union-attr]  # both are IptablesCommand


def test_every_jump_of_kube_proxy_is_found_again() -> None:
    lines = [f"*{table}\n-A {chain} {' '.join(map(_quoted, words))} -j {to}" for table, chain, to, words in JUMPS]
    tables: dict[str, list[str]] = {}
    for line in lines:
        table, _, rule = line.partition("\n")
        tables.setdefault(table, []).append(rule)
    saved = "\n".join(f"{table}\n" + "\n".join(rules) + "\nCOMMIT" for table, rules in tables.items())
    assert missing_jumps(saved, JUMPS) == []


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def test_what_is_read_from_a_saved_text() -> None:
    saved = SAVED.format(rule="-A FORWARD -j KUBE-FORWARD")
    assert chains_of(saved) == ["FORWARD", "KUBE-FORWARD"]
    assert rules_by_table(saved) == {"filter": [["-A", "FORWARD", "-j", "KUBE-FORWARD"]]}
