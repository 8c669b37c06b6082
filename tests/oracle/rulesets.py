"""Generated iptables rule sets for the router, in the text that iptables-restore takes."""

import random
from typing import Final

MATCHES: Final = (
    "-p tcp",
    "-p udp",
    "-p tcp -m tcp --dport 80",
    "-p udp -m udp --dport 53",
    "-p tcp -m tcp --sport 1024:65535",
    "-p tcp -m multiport --dports 80,443,8080:9000",
    "-p udp -m multiport --ports 53,30080",
    "-p tcp -m tcp --tcp-flags SYN,RST,ACK SYN",
    "-p tcp -m tcp ! --dport 443",
    "-m conntrack --ctstate NEW",
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack --ctstate INVALID",
    "-m conntrack ! --ctstate INVALID",
    "-m conntrack --ctstate DNAT",
    "-m mark --mark 0x1/0x1",
    "-m mark ! --mark 0x4000/0x4000",
    "-m connmark --mark 0x1/0x1",
    "-m connmark ! --mark 0x2",
    "-m addrtype --dst-type LOCAL",
    "-m addrtype ! --src-type LOCAL",
    "-m statistic --mode nth --every 2 --packet 0",
    '-m comment --comment "any packet"',
    "-i c0",
    "! -i c0",
    "-o s0",
    "-o o+",
)
PREFIXES: Final = ("-s 10.1.0.0/24", "! -s 10.1.0.2/32", "-d 10.2.0.2/32", "-d 10.0.0.0/8", "! -d 10.3.0.0/16", "-f")
PREFIXES6: Final = ("-s fd01::/64", "! -s fd01::2/128", "-d fd02::2/128", "-d fd00::/8", "! -d fd03::/64")
ICMP: Final = ("-p icmp -m icmp --icmp-type 8", "-p icmp -m icmp --icmp-type 3/3", "-p icmp")
ICMP6: Final = ("-p ipv6-icmp -m icmp6 --icmpv6-type 128", "-p ipv6-icmp -m icmp6 --icmpv6-type 1/4", "-p ipv6-icmp")
REJECTS: Final = (
    "icmp-port-unreachable",
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
)
REJECTS6: Final = ("icmp6-port-unreachable", "icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable")
MARKINGS: Final = (
    "MARK --set-xmark 0x1/0x1",
    "MARK --set-xmark 0x4000/0x4000",
    "MARK --set-xmark 0x0/0x1",
    "CONNMARK --set-xmark 0x1/0x1",
    "CONNMARK --set-xmark 0x2/0x0",
    "CONNMARK --save-mark --nfmask 0x4001 --ctmask 0xff",
    "CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0x4001",
)
SEGMENT_SIZES: Final = ("--set-mss 900", "--set-mss 20", "--clamp-mss-to-pmtu")
FILTER: Final = ("INPUT", "FORWARD", "OUTPUT")


class RuleGenerator:
    """Rule sets, each decided by the seed."""

    def __init__(self, seed: int, *, family: str) -> None:
        self._random = random.Random(seed)
        self._is_ipv6 = family == "ipv6"

    def text(self) -> str:
        """One text with the four tables, each with some probability."""
        parts = [self._filter()]
        parts += [self._nat()] if self._random.random() < 0.6 else []
        parts += [self._mangle()] if self._random.random() < 0.4 else []
        parts += [self._raw()] if self._random.random() < 0.2 else []
        return "".join(parts)

    def _match(self, hook: str) -> str:
        prefixes, icmp = (PREFIXES6, ICMP6) if self._is_ipv6 else (PREFIXES, ICMP)
        chosen = [self._random.choice((*MATCHES, *prefixes, *icmp)) for _ in range(self._random.choice((0, 1, 1, 2)))]
        fitting = [each for each in chosen if self._fits(hook, each)]
        if sum("-p " in each for each in fitting) > 1 or sum("-s" in each or "-d" in each for each in fitting) > 1:
            fitting = fitting[:1]
        if len({each.split("--")[0] for each in fitting}) < len(fitting):
            fitting = fitting[:1]
        return " ".join(fitting)

    def _fits(self, hook: str, match: str) -> bool:
        if hook in ("", "POSTROUTING", "OUTPUT") and "-i " in match:
            return False
        return not (hook in ("", "PREROUTING", "INPUT") and "-o " in match)

    def _filter(self) -> str:
        lines = [f":{chain} {self._random.choice(('ACCEPT', 'ACCEPT', 'ACCEPT', 'DROP'))} [0:0]" for chain in FILTER]
        lines += [":ONE - [0:0]", ":TWO - [0:0]"]
        for chain in (*FILTER, *FILTER, "FORWARD", "ONE", "ONE", "TWO", "TWO"):
            hook = chain if chain in FILTER else ""
            targets = ["ACCEPT", "DROP", "RETURN", self._reject(), "", "ONE", "TWO"]
            targets = targets[:-2] if chain == "TWO" else [*targets[:-2], "TWO"] if chain == "ONE" else targets
            lines.append(self._rule(chain, self._match(hook), self._random.choice(targets)))
        return "*filter\n" + "\n".join(lines) + "\nCOMMIT\n"

    def _reject(self) -> str:
        return f"REJECT --reject-with {self._random.choice(REJECTS6 if self._is_ipv6 else REJECTS)}"

    def _rule(self, chain: str, match: str, target: str) -> str:
        if target.startswith("REJECT") and self._random.random() < 0.3:
            return f"-A {chain} -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset"
        return " ".join(word for word in (f"-A {chain}", match, f"-j {target}" if target else "") if word)

    def _nat(self) -> str:
        server, other = ("[fd02::2]", "[fd03::2]") if self._is_ipv6 else ("10.2.0.2", "10.3.0.2")
        vip = "fd96::a/128" if self._is_ipv6 else "10.96.0.10/32"
        source = "fd07::7" if self._is_ipv6 else "10.7.7.7"
        pre = (
            f"-A PREROUTING -d {vip} -p tcp -m tcp --dport 80 -j DNAT --to-destination {server}:8080",
            f"-A PREROUTING -d {vip} -p udp -m udp --dport 53 -j DNAT --to-destination {other}:5353",
            f"-A PREROUTING -d {vip} -p tcp -j DNAT --to-destination {other.strip('[]')}",
            "-A PREROUTING -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8443",
            "-A PREROUTING -p udp -m udp --dport 30080 -j REDIRECT",
            "-A PREROUTING -m statistic --mode nth --every 3 --packet 0 -j ACCEPT",
        )
        post = (
            "-A POSTROUTING -o s0 -j MASQUERADE",
            f"-A POSTROUTING -p udp -j SNAT --to-source {source}",
            "-A POSTROUTING -m mark --mark 0x1/0x1 -j MASQUERADE",
            "-A POSTROUTING -o o0 -p tcp -j RETURN",
        )
        lines = [":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]"]
        lines += self._random.sample(pre, self._random.randint(1, 4))
        lines += self._random.sample(post, self._random.randint(0, 2))
        return "*nat\n" + "\n".join(lines) + "\nCOMMIT\n"

    def _mangle(self) -> str:
        chains = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
        lines = [f":{chain} ACCEPT [0:0]" for chain in chains]
        for chain in self._random.sample(chains, 3):
            lines.append(self._rule(chain, self._match(chain), self._random.choice((*MARKINGS, "ACCEPT"))))
        size = self._random.choice(SEGMENT_SIZES)
        flags = self._random.choice(("SYN,RST SYN", "SYN,RST SYN", "ACK ACK"))
        lines.append(f"-A FORWARD -p tcp -m tcp --tcp-flags {flags} -j TCPMSS {size}")
        return "*mangle\n" + "\n".join(lines) + "\nCOMMIT\n"

    def _raw(self) -> str:
        lines = [":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"]
        match = self._random.choice(("-p udp", "-p tcp -m tcp --dport 80"))
        lines.append(f"-A PREROUTING {match} -j CT --notrack")
        return "*raw\n" + "\n".join(lines) + "\nCOMMIT\n"
