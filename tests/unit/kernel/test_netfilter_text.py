"""iptables text: what the real programs write is taken, printed back the same, and refused as they refuse it."""

import pytest
from services import FLANNEL, rules
from topology import Chance, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.netfilter import restore
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.printing.iptables import iptables_list, iptables_rules, iptables_save
from podwire.services.node.kernel.programming import apply_operation

PORTMAP = """*nat
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:CNI-DN-1 - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"x\\"" -m multiport --dports 80,443 \
-j CNI-DN-1
-A CNI-DN-1 -s 10.244.1.0/24 -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-1 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.5:8080
COMMIT
"""

EVERYTHING = """*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -i eth+ -p udp -m udp --dport 8472 -j CT --notrack
-A OUTPUT ! -o lo -j NOTRACK
COMMIT
*filter
:INPUT DROP [5:300]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:A - [0:0]
:B - [0:0]
-A INPUT -s 10.0.0.0/255.0.255.0 -p 99 -j ACCEPT
-A INPUT -f -j DROP
-A INPUT -p tcp -m tcp --sport 1:1023 ! --dport 80 --tcp-flags FIN,SYN,RST,ACK SYN -j A
-A INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 5/sec --limit-burst 7 -j ACCEPT
-A INPUT -p icmp -m icmp --icmp-type 3/4 -j ACCEPT
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate NEW --ctdir ORIGINAL --ctorigdst 10.96.0.1 -g B
-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT
-A FORWARD -m statistic --mode nth --every 3 --packet 0 -j DROP
-A FORWARD -m set ! --match-set KUBE-X dst,dst -j RETURN
-A FORWARD -m addrtype ! --src-type LOCAL --dst-type UNICAST --limit-iface-in -j LOG --log-prefix "who " --log-level 6
-A A -p tcp -j REJECT --reject-with tcp-reset
-A B -m recent --rcheck --seconds 10800 --reap --name SEP --mask 255.255.255.255 --rsource -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 8081
-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9:80-90 --random --persistent
-A POSTROUTING -j SNAT --to-source 10.0.0.1 --random-fully
-A POSTROUTING -p udp -j MASQUERADE --to-ports 1024-2048 --random
COMMIT
"""

PROXIES = """*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1
-A PREROUTING -p udp -j TPROXY --on-port 3 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0
-A PREROUTING -j CONNMARK --set-xmark 0x3/0xffffffff
-A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xf0
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf
-A PREROUTING -m connmark ! --mark 0x3/0xff -j ACCEPT
-A PREROUTING -p tcp -m socket --transparent --nowildcard -j MARK --set-xmark 0x1/0xffffffff
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
-A FORWARD -p tcp -j TCPMSS --set-mss 1200
-A OUTPUT -m owner ! --uid-owner 1337 -j ACCEPT
-A OUTPUT -m owner --uid-owner 0 --gid-owner 5-9 -j ACCEPT
-A OUTPUT -m owner --socket-exists -j ACCEPT
COMMIT
"""
PROXIES_LISTED = [
    "TPROXY redirect 127.0.0.1:15001 mark 0x1/0x1",
    "TPROXY redirect 0.0.0.0:3 mark 0x0/0x0",
    "CONNMARK set 0x3",
    "CONNMARK save nfmask 0xff ctmask ~0xf0",
    "CONNMARK restore",
    "CONNMARK restore mask 0xf",
    "connmark match ! 0x3/0xff",
    "socket --transparent --nowildcard MARK set 0x1",
    "tcp flags:0x06/0x02 TCPMSS clamp to PMTU",
    "TCPMSS set 1200",
    "! owner UID match 1337",
    "owner UID match 0 owner GID match 5-9",
    "owner socket exists",
]
"""What iptables 1.8.9 lists of them after the addresses."""


def netfilter() -> Netfilter:
    kernel = Kernel("node", "boot", Chance())
    apply_operation(kernel, m.IpsetRestore(text="create KUBE-X hash:ip,port\n"))
    return kernel.root.netfilter


TEXTS = {
    "kube-proxy": rules("10.244.1.6:8080", "10.244.2.3:8080", "10.244.2.4:8080"),
    "flannel": FLANNEL.format(number=1),
    "portmap": PORTMAP,
    "everything": EVERYTHING,
    "proxies": PROXIES,
}


@pytest.mark.parametrize("name", TEXTS)
def test_print_then_parse_then_print_is_the_same(name: str) -> None:
    first, second = netfilter(), netfilter()
    restore.restore(first, TEXTS[name], counters=True)
    printed = iptables_save(first, counters=True)
    restore.restore(second, printed, counters=True)
    assert iptables_save(second, counters=True) == printed


def test_text_as_iptables_save_prints_it_is_printed_unchanged() -> None:
    tables = netfilter()
    restore.restore(tables, EVERYTHING, counters=True)
    printed = iptables_save(tables)
    assert sorted(printed.splitlines()) == sorted(EVERYTHING.splitlines())


def test_what_proxies_use_is_printed_as_the_real_tool_prints_it() -> None:
    tables = netfilter()
    restore.restore(tables, PROXIES)
    assert iptables_save(tables) == PROXIES
    listed = iptables_list(tables.tables["mangle"]).splitlines()
    rules = [line.split("0.0.0.0/0", 2)[2].strip() for line in listed if line.count("0.0.0.0/0") == 2]
    assert rules == PROXIES_LISTED


def test_kube_proxys_probabilities_print_as_the_real_tool_prints_them() -> None:
    tables = netfilter()
    restore.restore(tables, TEXTS["kube-proxy"])
    text = iptables_rules(tables.tables["nat"], "KUBE-SVC-API")
    assert "--probability 0.33333333349 " in text
    assert "--probability 0.50000000000 " in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-A INPUT -m nonsense -j DROP", "Couldn't load match `nonsense'"),
        ("-A INPUT -j NOWHERE", "Couldn't load target `NOWHERE'"),
        ("-A NOWHERE -j DROP", "No chain/target/match by that name."),
        ("-A INPUT --dport 80 -j DROP", 'unknown option "--dport"'),
        ("-A INPUT -p tcp --dport 99999 -j DROP", "invalid port/service `99999' specified"),
        ("-A INPUT -s 10.0.0.300 -j DROP", "host/network `10.0.0.300' not found"),
        ("-A INPUT -j DNAT --to-destination 10.0.0.1", "DNAT: only valid in the nat table"),
        ("-A INPUT -j REJECT --reject-with nothing", 'unknown reject type "nothing"'),
        ("-A INPUT -m statistic --mode random --probability 2 -j DROP", "between 0 and 1"),
        ("-A INPUT -m statistic --mode random -j DROP", "--probability must be specified"),
        ("-A INPUT -m mark -j DROP", "--mark option is required"),
        ("-A INPUT -m conntrack --ctstate SOMETHING", 'Bad ctstate "SOMETHING"'),
        ("-A INPUT -m comment --comment", 'option "--comment" requires an argument'),
        ('-A INPUT -m comment --comment "open', "unterminated quote"),
        ("-A INPUT ! -j", "requires an argument"),
        ("-A INPUT nonsense", "Bad argument `nonsense'"),
        ("-A INPUT -m connmark -j DROP", 'connmark: option "--mark" must be specified'),
        ("-A OUTPUT -m owner -j DROP", "owner: At least one of --uid-owner, --gid-owner or --socket-exists is"),
        ("-A OUTPUT -m owner --uid-owner 9-3 -j DROP", 'owner: Bad value for "--uid-owner" option: "9-3"'),
        ("-A OUTPUT -j CONNMARK", "CONNMARK target: No operation specified"),
        ("-A OUTPUT -j CONNMARK --save-mark --restore-mark", '"--save-mark" cannot be used together with "--restore-'),
        ("-A FORWARD -p tcp -j TCPMSS", "TCPMSS target: At least one parameter is required"),
        ("-A FORWARD -p tcp -j TCPMSS --set-mss 70000", 'bad value for option "--set-mss", or out of range (0-65515).'),
        ("-D INPUT -j DROP", "Bad rule (does a matching rule exist in that chain?)."),
        ("-X INPUT", "Can't delete built-in chain"),
        ("-P USER DROP", "Bad policy name"),
        ("-A USER -j USER", "Too many levels of symbolic links"),
        (":" + "X" * 29 + " - [0:0]", "too long"),
        (":INPUT MAYBE [0:0]", "Bad policy name"),
        ("-I INPUT 5 -j DROP", "Index of insertion too big."),
        ("*nat", "failed"),
    ],
)
def test_what_is_refused_changes_nothing(line: str, message: str) -> None:
    tables = netfilter()
    restore.restore(tables, "*filter\n:USER - [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n")
    before = iptables_save(tables)
    text = f"*nat\n-A OUTPUT -j ACCEPT\nCOMMIT\n*filter\n-A OUTPUT -j DROP\n{line}\nCOMMIT\n"
    with pytest.raises(NetfilterError) as caught:
        restore.restore(tables, text, noflush=True)
    assert message in caught.value.message
    assert caught.value.line in (6, 7)
    assert iptables_save(tables) == before


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("filter", "-A INPUT -m owner --uid-owner 5"),
        ("filter", "-A FORWARD -j TCPMSS --set-mss 700"),
        ("filter", "-A INPUT -p tcp -j TCPMSS --clamp-mss-to-pmtu"),
        ("mangle", "-A PREROUTING -j TPROXY --on-port 3"),
        ("mangle", "-A INPUT -p tcp -j TPROXY --on-port 3"),
        ("mangle", "-A POSTROUTING -m socket"),
    ],
)
def test_what_the_kernel_refuses_where_it_stands(table: str, rule: str) -> None:
    with pytest.raises(NetfilterError, match="Invalid argument"):
        restore.restore(netfilter(), f"*{table}\n{rule}\nCOMMIT\n")


def test_text_without_commit_is_refused() -> None:
    with pytest.raises(NetfilterError, match="COMMIT expected"):
        restore.restore(netfilter(), "*filter\n-A INPUT -j DROP\n")


def test_a_chain_line_creates_or_flushes_and_noflush_keeps_the_rest() -> None:
    tables = netfilter()
    restore.restore(tables, "*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j DROP\n-A B -j DROP\nCOMMIT\n")
    restore.restore(tables, "*filter\n:A - [0:0]\nCOMMIT\n", noflush=True)
    assert iptables_rules(tables.tables["filter"]).splitlines()[3:] == ["-N A", "-N B", "-A B -j DROP"]
    restore.restore(tables, "*filter\nCOMMIT\n")
    assert iptables_rules(tables.tables["filter"]).splitlines() == [
        f"-P {c} ACCEPT" for c in ("INPUT", "FORWARD", "OUTPUT")
    ]


def test_listing_is_the_tools_own() -> None:
    tables = netfilter()
    restore.restore(tables, TEXTS["kube-proxy"])
    assert iptables_list(tables.tables["nat"], "KUBE-SVC-API").splitlines()[:4] == [
        "Chain KUBE-SVC-API (2 references)",
        "target     prot opt source               destination         ",
        "KUBE-MARK-MASQ  tcp  -- !10.244.0.0/16        10.96.45.123         /* default/my-api cluster IP */ tcp dpt:80",
        "KUBE-SEP-0  all  --  0.0.0.0/0            0.0.0.0/0            "
        "/* default/my-api -> 10.244.1.6:8080 */ statistic mode random probability 0.33333333349",
    ]
    verbose = iptables_list(tables.tables["nat"], "KUBE-SERVICES", verbose=True, line_numbers=True)
    assert verbose.splitlines()[1:3] == [
        "num   pkts bytes target     prot opt in     out     source               destination         ",
        "1        0     0 KUBE-SVC-API  tcp  --  *      *       0.0.0.0/0            10.96.45.123         "
        "/* default/my-api cluster IP */ tcp dpt:80",
    ]


def test_ten_thousand_services_are_indexed() -> None:
    network = Network(1)
    network[1].pod("a", 5)
    lines = [
        f"-A KUBE-SERVICES -d 10.97.{index >> 8}.{index & 255}/32 -p udp -m udp --dport 53 -j RETURN"
        for index in range(10_000)
    ]
    text = "\n".join(["*mangle", ":KUBE-SERVICES - [0:0]", "-A PREROUTING -j KUBE-SERVICES", *lines, "COMMIT", ""])
    network[1].do(m.IptablesRestore(text=text, noflush=True))
    network[1].sockets("a").open_udp("trace").send_to(b"?", ("10.97.39.15", 53))
    network.settle()
    hop = next(hop for hop in network[1].kernel.hops if hop.kind == "rule" and hop.chain == "KUBE-SERVICES")
    assert (hop.rule, hop.rules_passed) == (10_000, 10_001)
