"""What to change, in a sentence, by the reason for which a packet died."""

from typing import Final

from podwire.proto.messages.telemetry import Hop

BY_REASON: Final = {
    "NOT_SPECIFIED": "",
    "NO_SOCKET": "nothing listens on this port: compare the Service's targetPort with the port of the app",
    "PKT_TOO_SMALL": "the packet is shorter than its headers say: whatever made it counts wrong",
    "TCP_CSUM": "the TCP checksum is wrong: whatever changed the packet must compute it again",
    "UDP_CSUM": "the UDP checksum is wrong: whatever changed the packet must compute it again",
    "ICMP_CSUM": "the ICMP checksum is wrong: whatever changed the packet must compute it again",
    "IP_CSUM": "the IP header's checksum is wrong: whatever changed the packet must compute it again",
    "OTHERHOST": "the frame has another machine's MAC: look at the sender's neighbour table (ip neigh)",
    "IP_RPFILTER": "the source is not reached through this device: set net.ipv4.conf.*.rp_filter to 0 or 2",
    "IP_NOPROTO": "nothing here speaks this IP protocol: use tcp, udp, sctp or icmp",
    "IP_INNOROUTES": "the machine has no route to this address: is the CNI agent of this node running?",
    "IP_OUTNOROUTES": "the namespace has no route to this address: ip route lists those that it has",
    "IP_INADDRERRORS": "the packet is not for this host, which does not forward: set net.ipv4.ip_forward to 1",
    "IP_INVALID_SOURCE": "no packet may come from this address: the sender must use one of its own",
    "IP_INVALID_DEST": "no packet can go to this address: choose another destination",
    "IP_LOCAL_SOURCE": "the packet comes from outside with this machine's own address: the sender must use its own",
    "IP_LOCALNET": "127.0.0.0/8 does not leave a machine: bind to another address, or set route_localnet to 1",
    "INVALID_PROTO": "the protocol cannot be used in this way",
    "IPV6DISABLED": "IPv6 is switched off here: set net.ipv6.conf.*.disable_ipv6 to 0",
    "IPV6_NDISC_HOP_LIMIT": "neighbour discovery must come with hop limit 255, from the same link",
    "IPV6_NDISC_BAD_OPTIONS": "an option of the neighbour discovery message is not whole",
    "UNHANDLED_PROTO": "the kernel has no use for such a packet: nothing is to be changed unless you sent it",
    "SOCKET_RCVBUFF": "the app does not read fast enough: its receive buffer is full",
    "SOCKET_BACKLOG": "the app does not accept connections fast enough: its backlog is full",
    "NEIGH_CREATEFAIL": "the neighbour table is full: something sends to very many addresses of one link",
    "NEIGH_FAILED": "nobody answers ARP for this address: it belongs to no pod or node that is up",
    "NEIGH_QUEUEFULL": "too many packets wait for an ARP answer: the address is probably not there",
    "NEIGH_DEAD": "the neighbour was deleted, or its device went down, while the packet waited for it",
    "CPU_BACKLOG": "more packets came at once than the machine can queue: send more slowly",
    "RECURSION_LIMIT": "the packet runs in a circle: two devices or routes point at each other",
    "DEV_READY": "the device is down or has no carrier: ip link set DEVICE up",
    "DEV_HDR": "the frame is shorter than an Ethernet header",
    "HDR_TRUNC": "a header is cut off: whatever made the packet counts wrong",
    "PKT_TOO_BIG": "the packet is larger than the MTU and must not be fragmented: lower the sender's MTU",
    "DUP_FRAG": "fragments overlap: whatever cut the packet cut it wrongly",
    "FRAG_REASM_TIMEOUT": "a fragment never came: look for where it was dropped",
    "FRAG_TOO_FAR": "the fragments of too many packets were mixed",
    "NOMEM": "a table is full (of connections, fragments or the like): raise its limit or send less",
    "TCP_FLAGS": "no connection takes these TCP flags in its state: begin with a SYN",
    "TCP_CLOSE": "the connection is closed already",
    "TCP_RESET": "the other side reset the connection",
    "TCP_OLD_DATA": "these bytes were received before: the acknowledgement was probably lost",
    "TCP_TOO_OLD_ACK": "it acknowledges what is long past: the segment was delayed, or belongs to nothing",
    "TCP_OVERWINDOW": "the segment lies beyond the receiver's window",
    "TCP_INVALID_SEQUENCE": "the sequence number does not belong to this connection",
    "TCP_INVALID_SYN": "there is a connection of these ports already: a SYN does not belong into it",
    "TCP_OFO_DROP": "too many segments came out of order",
    "MAC_INVALID_SOURCE": "a group address cannot be a sender's MAC",
    "VXLAN_INVALID_HDR": "what came to the tunnel's port is not VXLAN",
    "VXLAN_VNI_NOT_FOUND": "this machine has no tunnel with that VNI: is its CNI agent running?",
    "LOST_ON_THE_LINK": "the link between the two machines is bad: podwire chaos heal makes it whole",
    "VXLAN_NO_REMOTE": "the tunnel knows no machine with that MAC: is the CNI agent of this node running?",
}
"""By reason, as Linux's enum skb_drop_reason names it; IP_INHDR and NETFILTER_DROP depend on more."""


def advice(hop: Hop) -> str:
    """A sentence for a drop hop."""
    if hop.reason == "NETFILTER_DROP":
        whom = f" (made for {hop.owner})" if hop.owner else ""
        if not hop.rule:
            return f"no rule of chain {hop.chain} in table {hop.table} takes it, and its policy is DROP: add a rule"
        return f"rule {hop.rule} of chain {hop.chain} in table {hop.table} drops it{whom}: change or delete that rule"
    if hop.reason == "QDISC_DROP":
        whom = f", made for {hop.owner}: delete or pause that object" if hop.owner else ": tc qdisc show tells which"
        return f"a queue discipline of {hop.device} drops it{whom}"
    if hop.reason == "IP_INHDR":
        if "exceeded" in hop.detail:
            return "the packet had no hop left: send it with a larger TTL, or look for a loop in the routes"
        return "the IP header is not valid: whatever made the packet counts wrong"
    return BY_REASON.get(hop.reason) or hop.detail
