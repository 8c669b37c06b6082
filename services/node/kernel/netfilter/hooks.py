"""The five hooks, and what stands in each, in Linux's order of priorities."""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.services.node.kernel.conntrack import nat
from podwire.services.node.kernel.conntrack.table import ECHOES
from podwire.services.node.kernel.ipvs import forwarding
from podwire.services.node.kernel.netfilter.evaluation import Evaluation
from podwire.services.node.kernel.netfilter.targets.base import DROP
from podwire.services.node.kernel.netfilter.traverse import traverse
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.netfilter.chain import Table
    from podwire.services.node.kernel.netfilter.tables import Netfilter

TRACK, CONFIRM, IPVS = "conntrack", "confirm", "ipvs"
ORDER: Final = {
    "PREROUTING": ("raw", TRACK, "mangle", "nat"),
    "INPUT": ("mangle", "filter", IPVS, "nat", CONFIRM),
    "FORWARD": ("mangle", "filter", IPVS),
    "OUTPUT": ("raw", TRACK, "mangle", "nat", IPVS, "filter"),
    "POSTROUTING": ("mangle", "nat", CONFIRM),
}
_TRANSLATES_SOURCE: Final = {"PREROUTING": False, "OUTPUT": False, "INPUT": True, "POSTROUTING": True}


def run(namespace: "Namespace", hook: str, packet: Packet) -> bool:
    """Take a packet through a hook; false if it died there."""
    netfilter = namespace.netfilter6 if packet.ethertype == TYPE_IPV6 else namespace.netfilter
    if not netfilter.active:
        return True
    at = Evaluation(
        namespace,
        hook,
        "",
        packet.in_device.name if packet.in_device is not None and hook != "OUTPUT" else "",
        packet.out_device.name if packet.out_device is not None and hook != "PREROUTING" else "",
    )
    for step in netfilter.steps[hook]:
        at.rules_passed = 0
        if not _step(netfilter, step, packet, at):
            return False
    return True


def _step(netfilter: "Netfilter", step: str, packet: Packet, at: Evaluation) -> bool:
    if step == TRACK:
        return netfilter.connections.track(packet, verify=at.hook == "PREROUTING")
    if step == CONFIRM:
        return netfilter.connections.confirm(packet)
    if step == IPVS:
        return forwarding.step(at.namespace, at.hook, packet)
    at.table = step
    if step == "nat":
        return _translate(at.namespace, netfilter.tables["nat"], packet, at)
    return traverse(netfilter.tables[step], packet, at) != DROP


def _translate(namespace: "Namespace", table: "Table", packet: Packet, at: Evaluation) -> bool:
    """Ask the nat table about a connection's first packet; rewrite whatever belongs to a translated one."""
    connection = packet.connection
    if connection is None:
        return True
    source = _TRANSLATES_SOURCE[at.hook]
    done = connection.nat_source_done if source else connection.nat_destination_done
    is_error = packet.related and packet.protocol in ECHOES  # translated as its connection is, never by rules
    if not done and not connection.confirmed and not is_error:
        if traverse(table, packet, at) == DROP:
            return False
        nat.set_up(namespace, packet, nat.NO_CHANGE, source=source)
    changed = nat.translate(packet, source=source)
    if changed is not None and packet.trace:
        namespace.kernel.hop(
            packet,
            "nat",
            namespace,
            hook=at.hook,
            table="nat",
            verdict="SNAT" if source else "DNAT",
            before=changed[0],
            after=changed[1],
        )
    return True
