"""Which tracked UDP flows lead to endpoints that no longer serve (pkg/proxy/conntrack/cleanup.go, v1.33).

A UDP client that keeps its port keeps its connection in the tables, and with it an endpoint that may be gone.
"""

from collections.abc import Iterable, Iterator

from podwire.proto.messages.kernel import ConntrackDelete, Flow
from podwire.services.kube_proxy.core.ports import ServicePortState

UDP = 17


def stale_flows(flows: Iterable[Flow], states: Iterable[ServicePortState]) -> list[ConntrackDelete]:
    """The deletions. Services without any serving endpoint keep their flows, as upstream's do."""
    by_address, by_node_port = _serving(states)
    found: dict[ConntrackDelete, None] = {}
    for flow in flows:
        if flow.protocol == UDP:
            found.update(dict.fromkeys(_deletions(flow, by_address, by_node_port)))
    return list(found)


_Serving = dict[str, None]


def _deletions(
    flow: Flow, by_address: dict[tuple[str, int], _Serving], by_node_port: dict[int, _Serving]
) -> Iterator[ConntrackDelete]:
    _, _, destination, port = flow.original
    server = flow.reply[0]
    serving = by_address.get((destination, port))
    if serving is not None and server not in serving:
        yield ConntrackDelete(
            protocol="udp", original_destination=destination, original_destination_port=port, reply_source=server
        )
    serving = by_node_port.get(port)
    if serving is not None and server not in serving:
        yield ConntrackDelete(protocol="udp", original_destination_port=port, reply_source=server)


def _serving(states: Iterable[ServicePortState]) -> tuple[dict[tuple[str, int], _Serving], dict[int, _Serving]]:
    """The addresses of serving endpoints, by Service address and port, and by node port."""
    by_address: dict[tuple[str, int], _Serving] = {}
    by_node_port: dict[int, _Serving] = {}
    for state in states:
        serving: _Serving = {entry.address: None for entry in state.endpoints if entry.serving}
        if state.protocol != "udp" or not serving:
            continue
        for address in (state.cluster_ip, *state.load_balancer_ips, *state.external_ips):
            by_address[address, state.port] = serving
        if state.node_port:
            by_node_port[state.node_port] = serving
    return by_address, by_node_port
