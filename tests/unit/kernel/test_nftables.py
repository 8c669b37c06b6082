"""nftables in the datapath, what Linux cannot be asked for in a test: time, chance, traces; and texts that are refused.

What packets meet otherwise is compared with Linux in tests/oracle, texts with nft in tests/unit/node/programs.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topology import SECOND, Chance, Network

from podwire.proto.messages import kernel as m
from podwire.proto.messages.telemetry import Hop
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.printing.nftables import nft_ruleset
from podwire.services.node.kernel.programming import apply_operation


def network(text: str) -> Network:
    """Pods a and b on node-1, c on node-2; the text on node-1."""
    made = Network()
    made[1].pod("a", 5)
    made[1].pod("b", 6)
    made[2].pod("c", 3)
    made[1].do(m.NftRestore(text=text))
    return made


SERVICE = """
table ip kube-proxy {
    map service-ips {
        type ipv4_addr . inet_proto . inet_service : verdict
        elements = { 10.96.0.10 . tcp . 80 : goto service-api }
    }
    set affinity { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
    chain endpoint-b { update @affinity { ip saddr } ; dnat to 10.244.1.6:8080; }
    chain endpoint-c { dnat to 10.244.2.3:8080; }
    chain service-api {
        ip saddr @affinity goto endpoint-b
        numgen random mod 2 vmap { 0 : goto endpoint-b, 1 : goto endpoint-c }
    }
    chain services { ip daddr . meta l4proto . th dport vmap @service-ips }
    chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
    chain nat-postrouting { type nat hook postrouting priority srcnat; ip saddr 10.244.0.0/16 return; masquerade; }
}
"""


def reached(made: Network, count: int) -> list[str]:
    """Which pods `count` connections to the Service end at."""
    listeners = {
        "b": made[1].sockets("b").listen_tcp(("0.0.0.0", 8080)),
        "c": made[2].sockets("c").listen_tcp(("0.0.0.0", 8080)),
    }
    found = []
    for _ in range(count):
        client = made[1].sockets("a").open_tcp()
        client.connect(("10.96.0.10", 80))
        made.run(SECOND)
        found.append(next(name for name, listener in listeners.items() if listener.accept() is not None))
        client.abort()
        made.run(SECOND // 10)
    return found


def test_a_service_by_a_verdict_map_keeps_to_its_endpoint_while_the_set_remembers() -> None:
    made = network(SERVICE)
    first = reached(made, 12)
    at = first.index("b")
    assert first[at:] == ["b"] * (12 - at)
    made.run(11 * SECOND)
    assert "elements" not in nft_ruleset(made[1].kernel.root).split("set affinity")[1].split("}")[0]


def test_a_trace_names_table_chain_and_rule() -> None:
    made = network(
        "table inet t { chain f { type filter hook forward priority 0; "
        'ip daddr 10.244.2.3 counter drop comment "NetworkPolicy default/deny"; } }'
    )
    made[1].sockets("a").open_udp("trace-1").send_to(b"?", ("10.244.2.3", 53))
    made.run(SECOND)
    dropped: Hop = next(hop for hop in made[1].kernel.hops if hop.kind == "drop")
    assert (dropped.table, dropped.chain, dropped.rule) == ("inet t", "f", 1)
    assert (dropped.owner, dropped.reason) == ("NetworkPolicy default/deny", "NETFILTER_DROP")


def test_a_limit_opens_again_with_time() -> None:
    rules = "type filter hook forward priority 0; limit rate 1/second burst 2 packets accept; drop;"
    made = network(f"table ip t {{ chain f {{ {rules} }} }}")
    made[2].sockets("c").open_udp().bind(("0.0.0.0", 53))
    seen = []
    for _ in range(4):
        made[1].sockets("a").open_udp().send_to(b"?", ("10.244.2.3", 53))
        made.settle()
        seen.append(made[1].kernel.drops.total)
    made.run(2 * SECOND)
    made[1].sockets("a").open_udp().send_to(b"?", ("10.244.2.3", 53))
    made.settle()
    assert seen == [0, 0, 1, 2]
    assert made[1].kernel.drops.total == 2


def test_a_transaction_is_all_or_nothing() -> None:
    made = network("table ip t { set s { type ipv4_addr; } }")
    before = nft_ruleset(made[1].kernel.root)
    with pytest.raises(KernelError, match="/dev/stdin:2:15-21: Error: Could not process rule: No such file"):
        made[1].do(m.NftRestore(text="add element ip t s { 1.2.3.4 }\nadd rule ip t nothing tcp dprt 80 drop\n"))
    assert nft_ruleset(made[1].kernel.root) == before


TEXT = """table chain set map add rule delete element ip inet t c s { } ; @s tcp dport 80 vmap accept drop jump goto
type ipv4_addr : , . 10.0.0.1 10.0.0.0/8 1-5 hook input priority 0 policy elements = counter ct state new & | / != meta
mark set numgen random mod 2 limit rate over dnat to reject with"""
WORDS = st.sampled_from([*TEXT.split(), "\n"])


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=25))
def test_foreign_texts_are_refused_in_nfts_words_or_taken(words: list[str]) -> None:
    kernel = Kernel("node", "boot", Chance())
    apply_operation(kernel, m.NftRestore(text="table ip t { set s { type ipv4_addr; } ; chain c { } ; }"))
    said = "Error: taken"
    try:
        apply_operation(kernel, m.NftRestore(text=" ".join(words)))
    except KernelError as error:
        said = str(error.strerror)
    assert "Error: " in said
    nft_ruleset(kernel.root)
