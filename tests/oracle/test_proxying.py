"""What proxies stand on, beside Linux: TPROXY with transparent sockets, REDIRECT with SO_ORIGINAL_DST, `-m owner`."""

import random

import pytest
from tests.oracle.conversations import POINTS, TOPOLOGY, Conversation, LinuxHost, PodwireHost
from tests.oracle.test_router import counters
from tests.oracle.worlds import LinuxWorld, PodwireWorld, why_not

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]

TO_LOCAL = [
    m.RuleAdd(netns="server", priority=100, mark=1, mark_mask=1, table="100"),
    m.RouteAdd(netns="server", destination="default", device="lo", table="100", kind="local"),
]


def table(name: str, *rules: str) -> str:
    """What iptables-restore takes for one table."""
    chains = "".join(f":{chain} ACCEPT [0:0]\n" for chain in BUILTIN_CHAINS[name])
    return f"*{name}\n{chains}" + "".join(f"{rule}\n" for rule in rules) + "COMMIT\n"


TPROXY = "-A PREROUTING -p tcp -m tcp --dport 8080 -j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1"
DIVERT = "-A PREROUTING -p tcp -m socket --transparent -j MARK --set-xmark 0x1/0x1"
OPEN = ["< S 0 mss 1000 port 8080", "< . 1 ack 1 port 8080", "accept"]
TALK = [*OPEN, "< P. 1+100 ack 1 port 8080", "read", "write 200", "< . 101 ack 201 port 8080"]
SCRIPTS: dict[str, tuple[str, list[str]]] = {
    "TPROXY to a transparent listener": (table("mangle", TPROXY), ["listen 8 transparent", *TALK, "original"]),
    "TPROXY to a plain listener": (table("mangle", TPROXY), ["listen 8", *OPEN]),
    "TPROXY to nobody": (table("mangle", TPROXY), ["< S 0 port 8080"]),
    "TPROXY and a new connection after TIME-WAIT": (
        table("mangle", TPROXY),
        [
            "listen 8 transparent",
            *OPEN,
            "close",
            "< F. 1 ack 2 port 8080",
            "< S 100000 mss 1000 port 8080",
            "< . 100001 ack 1 port 8080",
            "accept",
        ],
    ),
    "a socket match beside TPROXY": (table("mangle", DIVERT, TPROXY), ["listen 8 transparent", *TALK]),
    "REDIRECT": (
        table("nat", "-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80"),
        ["listen", *TALK, "original"],
    ),
    "no connection tracking": ("", ["listen", *[line.replace(" port 8080", "") for line in OPEN], "original"]),
    "owner: of a user": (
        table(
            "filter",
            "-A OUTPUT -m owner --uid-owner 0 -j ACCEPT",
            "-A OUTPUT -m owner --socket-exists",
            "-A OUTPUT -m owner ! --uid-owner 1337",
            "-A OUTPUT -p tcp -j DROP",
        ),
        ["listen", *[line.replace(" port 8080", "") for line in TALK]],
    ),
    "owner: not of a user": (
        table(
            "filter",
            "-A OUTPUT -m owner --uid-owner 0-99 --gid-owner 5",
            "-A OUTPUT -m owner ! --uid-owner 1337 -j RETURN",
            "-A OUTPUT -m owner ! --socket-exists -j DROP",
        ),
        ["listen", *[line.replace(" port 8080", "") for line in TALK]],
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_proxied_conversation(name: str) -> None:
    rules, script = SCRIPTS[name]
    theirs = LinuxWorld()
    host = LinuxHost(theirs)
    try:
        ours = PodwireWorld(random.Random(1))
        for world in (ours, theirs):
            world.build([*TOPOLOGY, *TO_LOCAL], POINTS)
            world.do(m.IptablesRestore(netns="server", text=rules))
        wanted = Conversation(theirs, host).play(script)
        got = Conversation(ours, PodwireHost(ours)).play(script)
        assert got == wanted
        assert counters(ours.rules("server", "ipv4")) == counters(theirs.rules("server", "ipv4"))
    finally:
        host.release()
        theirs.close()
