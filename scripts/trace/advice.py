"""What to change, in a sentence, by the reason for which a packet died."""

from typing import Final

from podwire.proto.messages.telemetry import Hop

_BY_REASON: Final = {
    "NO_SOCKET": "nothing listens on this port: compare the Service's targetPort with the port of the app",
    "IP_INNOROUTES": "the machine has no route to this address: is the CNI agent of this node running?",
    "IP_OUTNOROUTES": "the namespace has no route to this address",
    "NEIGH_FAILED": "nobody answers ARP for this address: it belongs to no pod or node that is up",
    "NEIGH_QUEUEFULL": "too many packets wait for an ARP answer: the address is probably not there",
    "PKT_TOO_BIG": "the packet is larger than the MTU and must not be fragmented: lower the sender's MTU",
    "VXLAN_VNI_NOT_FOUND": "this machine has no tunnel with that VNI: is its CNI agent running?",
    "IP_FORWARD_DISABLED": "net.ipv4.ip_forward is 0 on this machine",
    "TCP_RESET": "the other side reset the connection",
}


def advice(hop: Hop) -> str:
    """A sentence for a drop hop."""
    if hop.reason == "NETFILTER_DROP":
        whom = f" (made for {hop.owner})" if hop.owner else ""
        return f"rule {hop.rule} of chain {hop.chain} in table {hop.table} drops it{whom}"
    return _BY_REASON.get(hop.reason, hop.detail)
