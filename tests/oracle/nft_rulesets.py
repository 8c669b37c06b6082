"""Generated nftables rule sets for the router: sets, maps, verdict maps, every rule with a counter."""

import random
from typing import Final

CONDITIONS: Final = (
    "",
    "meta l4proto tcp",
    "meta l4proto { udp, icmp, ipv6-icmp }",
    "tcp dport 80",
    "tcp dport { 80, 443, 8080-9000 }",
    "tcp dport != 443",
    "udp dport @ports",
    "th sport 1024-65535",
    "th dport != { 53, 80 }",
    "tcp flags syn",
    "tcp flags & (fin | syn | rst | ack) == syn",
    "ct state new",
    "ct state established,related",
    "ct state invalid",
    "ct direction original",
    "ct status dnat",
    "meta mark & 0x1 == 0x1",
    "meta mark != 0x4000",
    "fib daddr type local",
    "fib saddr type != local",
    'iifname "c0"',
    'oifname != "s0"',
    'oifname "o*"',
    "meta length 0-200",
    "numgen inc mod 2 0",
)
CONDITIONS4: Final = (
    "ip saddr 10.1.0.0/24",
    "ip saddr != 10.1.0.2",
    "ip daddr @hosts",
    "ip daddr != @nets",
    "ip daddr { 10.2.0.2, 10.3.0.0-10.3.0.9 }",
    "ip protocol icmp",
    "icmp type echo-request",
    "icmp type { destination-unreachable, time-exceeded }",
    "ip ttl < 3",
    "ip saddr . tcp dport { 10.1.0.2 . 80, 10.1.0.2 . 443 }",
    "ip daddr . meta l4proto . th dport @triples",
    "ip dscp != cs0",
)
CONDITIONS6: Final = (
    "ip6 saddr fd01::/64",
    "ip6 saddr != fd01::2",
    "ip6 daddr @hosts",
    "ip6 daddr { fd02::2, fd03::/64 }",
    "icmpv6 type echo-request",
    "ip6 hoplimit < 3",
    "ip6 daddr . tcp dport { fd02::2 . 80 }",
    "ip6 daddr . meta l4proto . th dport @triples",
)
TRANSPORTS: Final = ("tcp", "udp", "icmp", "l4proto", "th ", "protocol")
"""Two conditions on transports may contradict each other, which nft refuses."""
MAPS: Final = (
    "tcp dport vmap { 80 : accept, 443 : drop, 8080 : jump two }",
    "meta l4proto vmap { udp : jump one, icmp : accept }",
    "ct state vmap { invalid : drop, established : accept }",
)


class NftGenerator:
    """Rule sets, each decided by the seed."""

    def __init__(self, seed: int, *, family: str) -> None:
        self._random = random.Random(seed)
        self._is_ipv6 = family == "ipv6"

    def text(self) -> str:
        """One text: a table of the packets' family or of both, with its sets and chains."""
        family = self._random.choice(("ip6" if self._is_ipv6 else "ip", "inet"))
        chains = [self._user("one", 3), self._user("two", 2)]
        for hook in ("prerouting", "input", "forward", "output", "postrouting"):
            for name in range(self._random.choice((0, 1, 1, 2))):
                chains.append(self._base(f"{hook}{name}", hook, 4))
        if self._random.random() < 0.6:
            chains += self._nat()
        order = ["two", "one"]
        body = "\n".join(sorted(chains, key=lambda text: -1 if any(f"chain {each} " in text for each in order) else 0))
        return f"table {family} t {{\n{self._sets()}\n{body}\n}}\n"

    def _sets(self) -> str:
        address = "ipv6_addr" if self._is_ipv6 else "ipv4_addr"
        hosts = "fd02::2, fd03::2" if self._is_ipv6 else "10.2.0.2, 10.3.0.2"
        nets = "fd02::/64" if self._is_ipv6 else "10.2.0.0/16, 10.9.0.0/20"
        vip, server = ("fd96::a", "fd02::2") if self._is_ipv6 else ("10.96.0.10", "10.2.0.2")
        return f"""
set ports {{ type inet_service; flags interval; elements = {{ 53, 8000-9000, 30080 }}; }}
set hosts {{ type {address}; elements = {{ {hosts} }}; }}
set nets {{ type {address}; flags interval; elements = {{ {nets} }}; }}
set triples {{ type {address} . inet_proto . inet_service; elements = {{ {vip} . tcp . 80, {server} . udp . 53 }}; }}
"""

    def _condition(self, hook: str) -> str:
        own = CONDITIONS6 if self._is_ipv6 else CONDITIONS4
        chosen = [self._random.choice(CONDITIONS + own) for _ in range(self._random.choice((0, 1, 1, 2)))]
        if sum(any(word in each for word in TRANSPORTS) for each in chosen) > 1:
            chosen = chosen[:1]
        fitting = [each for each in chosen if not ("oifname" in each and hook in ("", "prerouting", "input"))]
        return " ".join(each for each in fitting if not ("iifname" in each and hook in ("", "output", "postrouting")))

    def _rule(self, hook: str, targets: tuple[str, ...]) -> str:
        return " ".join(word for word in (self._condition(hook), "counter", self._random.choice(targets)) if word)

    def _user(self, name: str, count: int) -> str:
        targets = ("accept", "drop", "return", "", "meta mark set meta mark or 0x1")
        if name == "one":
            targets += ("jump two", "goto two")
        return self._chain(name, "", [self._rule("", targets) for _ in range(count)])

    def _base(self, name: str, hook: str, count: int) -> str:
        kind = "filter"
        priority = self._random.choice(
            ("filter", "mangle", "-1", "filter + 3", "raw" if hook != "postrouting" else "5")
        )
        policy = self._random.choice(("accept", "accept", "accept", "drop"))
        targets: tuple[str, ...] = ("accept", "drop", "jump one", "goto two", "", "meta mark set 0x1", "return")
        if hook in ("input", "forward", "output"):
            reject = "icmpx admin-prohibited" if self._random.random() < 0.5 else "tcp reset"
            targets += (f"meta l4proto tcp reject with {reject}" if reject == "tcp reset" else "reject",)
        rules = [self._rule(hook, targets) for _ in range(count)]
        if self._random.random() < 0.4:
            rules.append(self._random.choice(MAPS))
        return self._chain(name, f"type {kind} hook {hook} priority {priority}; policy {policy};", rules)

    def _nat(self) -> list[str]:
        vip, server, other = (
            ("ip6 daddr fd96::a", "[fd02::2]:8080", "fd03::2")
            if self._is_ipv6
            else ("ip daddr 10.96.0.10", "10.2.0.2:8080", "10.3.0.2")
        )
        named = "ip6" if self._is_ipv6 else "ip"
        pre = [
            f"{vip} tcp dport 80 counter dnat {named} to {server}",
            f"{vip} udp dport 53 counter dnat {named} to {other}",
            "tcp dport 443 counter redirect to :8443",
        ]
        post = ['oifname "s0" counter masquerade', "meta mark 0x1 counter masquerade"]
        return [
            self._chain("natpre", "type nat hook prerouting priority dstnat;", self._random.sample(pre, 2)),
            self._chain("natpost", "type nat hook postrouting priority srcnat;", self._random.sample(post, 1)),
        ]

    def _chain(self, name: str, head: str, rules: list[str]) -> str:
        return f"chain {name} {{\n{head}\n" + "\n".join(rules) + "\n}"
