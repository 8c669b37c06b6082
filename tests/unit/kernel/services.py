"""Rules as kube-proxy v1.33 writes them in iptables mode, beside Flannel's and the portmap plugin's."""

HEADER = """*filter
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 \
-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack \
--ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-SERVICES -m comment --comment "default/empty has no endpoints" -m tcp -p tcp -d 10.96.0.99 --dport 80 \
-j REJECT
-I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
COMMIT
"""

NAT = """*nat
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SVC-API - [0:0]
:KUBE-EXT-API - [0:0]
{chains}
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-NODEPORTS -m comment --comment default/my-api -m tcp -p tcp --dport 30080 -j KUBE-EXT-API
-A KUBE-EXT-API -m comment --comment "masquerade traffic for default/my-api external destinations" -j KUBE-MARK-MASQ
-A KUBE-EXT-API -j KUBE-SVC-API
-A KUBE-SERVICES -m comment --comment "default/my-api cluster IP" -m tcp -p tcp -d 10.96.45.123 --dport 80 \
-j KUBE-SVC-API
-A KUBE-SVC-API -m comment --comment "default/my-api cluster IP" -m tcp -p tcp -d 10.96.45.123 --dport 80 \
! -s 10.244.0.0/16 -j KUBE-MARK-MASQ
{endpoints}
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" \
-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
"""

FLANNEL = """*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.{number}.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.{number}.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.{number}.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE \
--random-fully
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE \
--random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
COMMIT
"""


def rules(*endpoints: str) -> str:
    """kube-proxy's full sync for my-api (10.96.45.123:80, NodePort 30080) with these `ip:port` endpoints."""
    chains, lines = [], []
    for index, endpoint in enumerate(endpoints):
        left = len(endpoints) - index
        chance = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
        comment = f'-m comment --comment "default/my-api -> {endpoint}"'
        lines.append(f"-A KUBE-SVC-API {comment}{chance} -j KUBE-SEP-{index}")
        lines.append(
            f"-A KUBE-SEP-{index} -m comment --comment default/my-api -s {endpoint.split(':')[0]} -j KUBE-MARK-MASQ"
        )
        lines.append(
            f"-A KUBE-SEP-{index} -m comment --comment default/my-api -m tcp -p tcp -j DNAT --to-destination {endpoint}"
        )
        chains.append(f":KUBE-SEP-{index} - [0:0]")
    return HEADER + NAT.format(chains="\n".join(chains), endpoints="\n".join(lines))
