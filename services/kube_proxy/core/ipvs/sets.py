"""The ipsets of ipvs mode: names, types, comments, and the rules that each is used in (pkg/proxy/ipvs/proxier.go)."""

from typing import Final, NamedTuple

from podwire.services.kube_proxy.core.family import Family

_LONGEST_NAME: Final = 31

LOOP_BACK: Final = "KUBE-LOOP-BACK"
CLUSTER_IP: Final = "KUBE-CLUSTER-IP"
EXTERNAL_IP: Final = "KUBE-EXTERNAL-IP"
EXTERNAL_IP_LOCAL: Final = "KUBE-EXTERNAL-IP-LOCAL"
LOAD_BALANCER: Final = "KUBE-LOAD-BALANCER"
LOAD_BALANCER_FW: Final = "KUBE-LOAD-BALANCER-FW"
LOAD_BALANCER_LOCAL: Final = "KUBE-LOAD-BALANCER-LOCAL"
SOURCE_IP: Final = "KUBE-LOAD-BALANCER-SOURCE-IP"
SOURCE_CIDR: Final = "KUBE-LOAD-BALANCER-SOURCE-CIDR"
NODE_PORT: Final = {"tcp": "KUBE-NODE-PORT-TCP", "udp": "KUBE-NODE-PORT-UDP", "sctp": "KUBE-NODE-PORT-SCTP-HASH"}
NODE_PORT_LOCAL: Final = {
    "tcp": "KUBE-NODE-PORT-LOCAL-TCP",
    "udp": "KUBE-NODE-PORT-LOCAL-UDP",
    "sctp": "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
}
HEALTH_CHECK: Final = "KUBE-HEALTH-CHECK-NODE-PORT"
IPVS_IPS: Final = "KUBE-IPVS-IPS"


class Kind(NamedTuple):
    """A set's type and what rules say about it."""

    type: str
    comment: str


KINDS: Final = {
    LOOP_BACK: Kind("hash:ip,port,ip", "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
    CLUSTER_IP: Kind("hash:ip,port", "Kubernetes service cluster ip + port for masquerade purpose"),
    EXTERNAL_IP: Kind("hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"),
    EXTERNAL_IP_LOCAL: Kind("hash:ip,port", "Kubernetes service external ip + port with externalTrafficPolicy=local"),
    LOAD_BALANCER: Kind("hash:ip,port", "Kubernetes service lb portal"),
    LOAD_BALANCER_FW: Kind(
        "hash:ip,port", "Kubernetes service load balancer ip + port for load balancer with sourceRange"
    ),
    LOAD_BALANCER_LOCAL: Kind(
        "hash:ip,port", "Kubernetes service load balancer ip + port with externalTrafficPolicy=local"
    ),
    SOURCE_IP: Kind(
        "hash:ip,port,ip", "Kubernetes service load balancer ip + port + source IP for packet filter purpose"
    ),
    SOURCE_CIDR: Kind(
        "hash:ip,port,net", "Kubernetes service load balancer ip + port + source cidr for packet filter purpose"
    ),
    NODE_PORT["tcp"]: Kind("bitmap:port", "Kubernetes nodeport TCP port for masquerade purpose"),
    NODE_PORT_LOCAL["tcp"]: Kind("bitmap:port", "Kubernetes nodeport TCP port with externalTrafficPolicy=local"),
    NODE_PORT["udp"]: Kind("bitmap:port", "Kubernetes nodeport UDP port for masquerade purpose"),
    NODE_PORT_LOCAL["udp"]: Kind("bitmap:port", "Kubernetes nodeport UDP port with externalTrafficPolicy=local"),
    NODE_PORT["sctp"]: Kind(
        "hash:ip,port", "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"
    ),
    NODE_PORT_LOCAL["sctp"]: Kind(
        "hash:ip,port", "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'"
    ),
    HEALTH_CHECK: Kind("bitmap:port", "Kubernetes health check node port"),
    IPVS_IPS: Kind("hash:ip", "Kubernetes addresses of virtual services"),
}


def name_of(name: str, family: Family) -> str:
    """A set's name in a family: IPv6's begin with KUBE-6-, and are cut to what ipset takes (NewIPSet)."""
    return name if family == "ipv4" else name.replace("KUBE-", "KUBE-6-", 1)[:_LONGEST_NAME]


def creation(name: str, family: Family) -> str:
    """The line of `ipset restore` that makes a set."""
    kind, made = KINDS[name].type, name_of(name, family)
    if kind == "bitmap:port":
        return f"create {made} {kind} range 0-65535"
    return f"create {made} {kind} family {'inet6' if family == 'ipv6' else 'inet'} hashsize 1024 maxelem 65536"
