"""Any words given to the tools of a machine are understood or refused, and leave its kernel whole.

Thousands of command lines of the tools' own words a run; afterwards every table still prints.
"""

import asyncio
from types import SimpleNamespace
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surroundings import Machine, Result

from podwire.services.node.machine import Machine as NodeMachine
from podwire.services.node.programs.toolboxes import HOST
from podwire.services.node.runtime.programs import run

VALUES: Final = """
        10.0.0.0/8 10.244.1.3 fd00::/8 ::1 0 1 -1 65536 0x1 eth0 cni0 lo nat filter tcp udp 80 80:90 abc ! -
        é default 02:00:00:00:00:01 all 1e9 dev
"""
WORDS: Final = {
    "ip": """
        -6 -4 -j -d -s -br link addr route rule neigh netns tunnel add del set show get flush replace exec
        type veth bridge vxlan ipip geneve peer name id remote local dstport via src metric table mtu up
        down master nomaster from to fwmark lookup priority blackhole lladdr nud permanent scope broadcast
        address onlink
    """,
    "bridge": """
        link fdb vlan show add append del replace set dst self permanent hairpin on off learning br brport
        master
    """,
    "iptables": """
        -t -A -I -D -C -N -X -F -Z -P -E -L -S -n -v --line-numbers INPUT OUTPUT FORWARD PREROUTING
        POSTROUTING X -j -g ACCEPT DROP REJECT DNAT SNAT MASQUERADE REDIRECT MARK CONNMARK TPROXY TCPMSS LOG
        CT -p -s -d -i -o -m multiport conntrack statistic recent limit set owner addrtype physdev comment
        --dport --sport --dports --to-destination --to-ports --ctstate NEW --mode random nth --every
        --probability 0.5 --name --rcheck --seconds --limit 5/sec --match-set src,dst --uid-owner --dst-type
        LOCAL --comment --set-xmark --on-port --clamp-mss-to-pmtu --tcp-flags SYN,ACK --reject-with
        tcp-reset mangle raw
    """,
    "ipset": """
        create add del test list save flush destroy swap rename restore s t hash:ip hash:net hash:ip,port
        hash:ip,port,net bitmap:port list:set timeout maxelem hashsize family inet6 range comment counters
        -exist -! -n 10.0.0.1,tcp:80 10.0.0.1,80 0-65535 10.0.0.0-10.0.0.9
    """,
    "ipvsadm": """
        -A -E -D -C -a -e -d -L -l -n -Ln --stats --rate -c -S -R -Z -t -u -f --sctp-service 10.0.0.1:80
        [fd00::1]:80 -s rr wrr lc mh -p -r -m -g -i -w --set -x -y
    """,
    "conntrack": """
        -L -D -F -C -S -E -f ipv4 ipv6 -p -s -d --dport --orig-dst -o extended
    """,
    "sysctl": """
        -w -a -n net.ipv4.ip_forward net.ipv4.ip_forward=1 net.ipv4.ip_forward=x net.nothing=1 =
    """,
    "ethtool": """
        -i -S -k
    """,
    "tcpdump": """
        -n -i any -c -e -v -q -X -x -A -r -w /tmp/x host port net src dst and or not ( ) tcp[13] & 2 != icmp
        arp vxlan greater less portrange 1-5 ip6
    """,
    "nft": """
        list add delete flush insert create destroy rename -f -c -a -j ruleset table chain rule set map
        element ip ip6 inet t c { } type ipv4_addr ; hook input priority accept drop
    """,
    "crictl": """
        ps pods -a -o json inspect
    """,
    "traceroute": """
        -n -I -q -m -w -6
    """,
    "tracepath": """
        -n -m -l -4 -6
    """,
    "ss": """
        -t -u -l -n -p -a -tlnp state established
    """,
    "ping": """
        -c1 -W1 -s -t -i -I -6 -M do
    """,
}
"""Tool → the words that it knows."""
GOOD: Final = {
    "ip": """
        link add v1 type veth peer name v2
        link add x1 type vxlan id 7 dev eth0 remote 10.0.0.9 dstport 4789
        link add g1 type geneve id 7 remote 10.0.0.9
        tunnel add t1 mode ipip local 10.244.1.1 remote 10.244.1.9
        link set v1 master cni0 mtu 900 up
        addr add 10.9.0.1/24 dev cni0
        route add 10.8.0.0/16 via 10.244.1.9 dev cni0 metric 5
        -6 route add fd00::/64 dev cni0
        route get 10.244.1.3 from 10.244.1.1 mark 1
        rule add fwmark 0x1/0x1 lookup 100 priority 50
        neigh replace 10.244.1.77 lladdr 02:00:00:00:00:01 dev cni0 nud permanent
        -j -d link show type bridge
    """,
    "bridge": """
        fdb add 02:00:00:00:00:07 dev veth-client master
        link set dev veth-client hairpin on
        vlan show
    """,
    "iptables": """
        -t nat -A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.3:8080
        -A INPUT -m recent --rcheck --seconds 10 --name X -j REJECT --reject-with icmp-port-unreachable
        -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
        -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 15001 --tproxy-mark 0x1/0x1
        -A OUTPUT -m owner ! --uid-owner 1337 -m limit --limit 5/sec -j LOG --log-prefix x
        -A INPUT -m set --match-set s src,dst -m statistic --mode random --probability 0.5 -j DROP
        -t nat -L PREROUTING -n -v --line-numbers
    """,
    "ipset": """
        create s hash:ip,port timeout 10 counters
        create t hash:net family inet6 maxelem 9
        add s 10.0.0.1,tcp:80 timeout 5
        create b bitmap:port range 0-100
    """,
    "ipvsadm": """
        -A -t 10.0.0.1:80 -s wrr -p 30
        -a -t 10.0.0.1:80 -r 10.244.1.3:8080 -m -w 3
        -L -n --stats
    """,
    "conntrack": "-D -p tcp --orig-dst 10.244.1.3 --dport 80",
    "tcpdump": """
        -n -c 1 -r /tmp/x tcp[13] & 2 != 0 and (host 10.0.0.1 or net 10.0.0.0/8) and not port 80
        -w /tmp/x -c 1 -i any vxlan 7 and icmp
    """,
    "nft": """
        add table ip t
        add chain ip t c { type filter hook input priority 0 ; policy drop ; }
        add rule ip t c ip saddr { 10.0.0.1, 10.0.0.2 } tcp dport 80 counter dnat to 10.244.1.3
        add set ip t s { type ipv4_addr . inet_service ; flags timeout ; }
        add element ip t s { 10.0.0.1 . 80 timeout 5s }
    """,
    "ping": "-c1 -W1 -s 100 10.244.1.3",
    "traceroute": "-n -q 1 -m 3 -w 1 10.244.1.3",
    "ss": "-tlnp sport = :80",
}
"""Tool → command lines that are right, to be damaged."""
READS: Final = """
ip -d link
ip addr
ip route show table all
ip rule
ip neigh
bridge fdb
iptables-save
ip6tables-save
nft list ruleset
ipset save
ipvsadm -S -n
conntrack -L
""".strip().splitlines()


@st.composite
def damaged(draw: st.DrawFn, good: list[list[str]], word: st.SearchStrategy[str]) -> list[str]:
    """A right command line with up to two of its words replaced, left out or doubled."""
    words = list(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(words) - 1))
        words[at : at + 1] = draw(st.sampled_from([[], [words[at]] * 2, [draw(word)]]))
        if not words:
            break
    return words


WAITS = ("ping",)
"""Tools that wait for answers: each line takes many turns of the loop."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "tool", [pytest.param(tool, marks=pytest.mark.slow) if tool in WAITS else tool for tool in sorted(WORDS)]
)
@settings(max_examples=130, deadline=None)
@given(st.data())
def test_no_words_abort_a_tool_or_break_the_kernel(tool: str, data: st.DataObject) -> None:
    word = st.sampled_from([*WORDS[tool].split(), *VALUES.split(), "", "a" * 300])
    good = [line.split() for line in GOOD.get(tool, "").strip().splitlines()]
    line = st.one_of(st.lists(word, max_size=9), *([damaged(good, word)] if good else []))
    lines = data.draw(st.lists(line, min_size=1, max_size=6))

    async def scene(machine: Machine) -> None:
        for words in lines:
            check(await run_tool(machine, [tool, *words]), words)
        for read in READS:
            result = await run_tool(machine, read.split())
            assert (result.code, "aborted" in result.err) == (0, False), (lines, read, result)

    Machine().play(scene)


async def run_tool(machine: Machine, arguments: list[str]) -> Result:
    """Runs a tool on the machine for an hour at most: some go on for ever by nature."""
    out, err = bytearray(), bytearray()
    process = machine.process(arguments, machine.nobody, out, err, "")
    runtime = SimpleNamespace(containers=SimpleNamespace(records={}), sandboxes=SimpleNamespace(records={}))
    process.machine = cast(NodeMachine, SimpleNamespace(runtime=runtime))
    try:
        async with asyncio.timeout(3600):
            code = await run(process, HOST[arguments[0]])
    except TimeoutError:
        code = 124
    return Result(code, out.decode(errors="replace"), err.decode(errors="replace"))


def check(result: Result, words: list[str]) -> None:
    assert "aborted" not in result.err and "Traceback" not in result.err, (words, result.err)
    assert result.code in (0, 124) or result.err or result.out, (words, result.code)
