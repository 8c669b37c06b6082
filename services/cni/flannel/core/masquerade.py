"""flanneld's iptables rules: masquerading of pod traffic that leaves the pod network, and forwarding of it.

The chains and their order are those of pkg/trafficmngr/iptables (flannel v0.26).
"""

from typing import Final

from podwire.services.cni.flannel.core.stack import V4, Stack

MASQUERADE: Final = "FLANNEL-POSTRTG"
FORWARD: Final = "FLANNEL-FWD"
_COMMENT: Final = '-m comment --comment "flanneld masq"'
_FORWARD_COMMENT: Final = '-m comment --comment "flanneld forward"'

JUMPS: Final = (
    ("nat", "POSTROUTING", MASQUERADE, ("-m", "comment", "--comment", "flanneld masq")),
    ("filter", "FORWARD", FORWARD, ("-m", "comment", "--comment", "flanneld forward")),
)


def restore_text(network: str, subnet: str, stack: Stack = V4) -> str:
    """The text that replaces both chains of a family."""
    return "\n".join(
        [
            "*nat",
            f":{MASQUERADE} - [0:0]",
            f"-A {MASQUERADE} -m mark --mark 0x4000/0x4000 {_COMMENT} -j RETURN",
            f"-A {MASQUERADE} -s {subnet} -d {network} {_COMMENT} -j RETURN",
            f"-A {MASQUERADE} -s {network} -d {subnet} {_COMMENT} -j RETURN",
            f"-A {MASQUERADE} ! -s {network} -d {subnet} {_COMMENT} -j RETURN",
            f"-A {MASQUERADE} -s {network} ! -d {stack.multicast} {_COMMENT} -j MASQUERADE --random-fully",
            f"-A {MASQUERADE} ! -s {network} -d {network} {_COMMENT} -j MASQUERADE --random-fully",
            "COMMIT",
            "*filter",
            f":{FORWARD} - [0:0]",
            f"-A {FORWARD} -s {network} {_FORWARD_COMMENT} -j ACCEPT",
            f"-A {FORWARD} -d {network} {_FORWARD_COMMENT} -j ACCEPT",
            "COMMIT",
            "",
        ]
    )
