"""A cluster as CoreDNS knows it, servers of a Corefile over it, and questions to them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from podwire.proto.kube.meta import Namespace
from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import codec
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomStream
from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.plugins.forward import Forward
from podwire.services.coredns.core.plugins.forward import Server as Upstream
from podwire.services.coredns.core.query import Ask, UpstreamFailure
from podwire.services.coredns.core.servers import Server, Surroundings, build, read_blocks, serve

SECOND = 1_000_000_000


def key(name: str, namespace: str = "default") -> ObjectKey:
    return ObjectKey("", "x", namespace, name)


Labels = dict[str, str]


def add_namespace(cluster: Cluster, name: str, labels: Labels | None = None) -> None:
    value = {"metadata": {"name": name, "labels": labels or {}}}
    cluster.set_namespace(key(name, ""), codec.decode(Namespace, codec.encode(value)))


def add_service(
    cluster: Cluster, name: str, namespace: str = "default", labels: Labels | None = None, **spec: object
) -> None:
    value = {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, "spec": spec}
    cluster.set_service(key(name, namespace), codec.decode(Service, codec.encode(value)))


def add_slice(
    cluster: Cluster, service: str, *endpoints: dict[str, object], ports: object = None, namespace: str = "default"
) -> None:
    labels = {"kubernetes.io/service-name": service}
    value = {
        "metadata": {"name": f"{service}-1", "namespace": namespace, "labels": labels},
        "ports": [{"name": "http", "port": 8080}] if ports is None else ports,
        "endpoints": list(endpoints),
    }
    cluster.set_slice(key(f"{service}-1", namespace), codec.decode(EndpointSlice, codec.encode(value)))


def add_pod(cluster: Cluster, name: str, address: str, namespace: str = "default") -> None:
    value = {"metadata": {"name": name, "namespace": namespace}, "status": {"podIP": address}}
    cluster.set_pod(key(name, namespace), codec.decode(Pod, codec.encode(value)))


@dataclass
class Dns:
    """The servers of one Corefile. `upstream` answers what they ask of others."""

    cluster: Cluster
    servers: list[Server]
    said: list[str] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)
    probed: list[Upstream] = field(default_factory=list)
    upstream: Callable[[Ask], dns.message.Message] | None = None
    now: int = 0

    def ask(
        self, name: str, kind: str = "A", *, client: str = "10.244.1.9", udp: bool = True, port: int = 53
    ) -> dns.message.Message:
        """The response to one question."""
        return self.put(dns.message.make_query(name, kind, id=7), client=client, udp=udp, port=port)

    def put(
        self, message: dns.message.Message, *, client: str = "10.244.1.9", udp: bool = True, port: int = 53
    ) -> dns.message.Message:
        """The response to a message."""
        steps = serve(self.servers, port, message.to_wire(), (client, 40000), udp, self.now, RandomStream(1))
        try:
            ask = next(steps)
            while True:
                self.asked.append(ask)
                try:
                    answer = self._exchange(ask)
                except UpstreamFailure as failure:
                    ask = steps.throw(failure)
                else:
                    ask = steps.send(answer)
        except StopIteration as stopped:
            response: dns.message.Message = stopped.value[1]
            return response

    def _exchange(self, ask: Ask) -> dns.message.Message:
        if self.upstream is None:
            self.now += 2 * SECOND
            raise UpstreamFailure(f"read udp 10.244.0.2->{ask.server[0]}:{ask.server[1]}: i/o timeout")
        return self.upstream(ask)

    def plugin(self, name: str) -> object:
        """A plugin of the first server."""
        return self.servers[0].plugins[name]


MakeDns = Callable[..., Dns]


@pytest.fixture
def cluster() -> Cluster:
    """Namespace `default`, synced, and nothing in it."""
    made = Cluster(synced=True, serial=42)
    add_namespace(made, "default")
    add_namespace(made, "kube-system")
    return made


@pytest.fixture
def make_dns(cluster: Cluster) -> MakeDns:
    """Servers of a Corefile; without one, of the kubernetes plugin alone."""

    def make(
        corefile: str = ".:53 {\n kubernetes cluster.local in-addr.arpa ip6.arpa {\n ttl 30\n pods insecure\n }\n}",
        **files: str,
    ) -> Dns:
        made = Dns(cluster, [])

        def probe(forward: Forward, server: Upstream) -> None:
            made.probed.append(server)

        given = Surroundings(
            cluster=cluster,
            files={name.replace("_", "/"): text for name, text in files.items()},
            clock=lambda: made.now,
            random=RandomStream(2),
            say=made.said.append,
            start_probing=probe,
            own_addresses=("10.244.0.2",),
        )
        made.servers = build(read_blocks(corefile), given)
        return made

    return make


def texts(response: dns.message.Message, section: str = "answer") -> list[str]:
    """The records of a section, as `name TYPE data`."""
    return sorted(
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}"
        for rrset in getattr(response, section)
        for rdata in rrset
    )


def corefile(*plugins: str) -> str:
    return ".:53 {\n  " + "\n  ".join(plugins) + "\n}"


def answering(*records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Callable[[Ask], dns.message.Message]:
    """An upstream server that gives the same records to every question."""

    def answer(ask: Ask) -> dns.message.Message:
        response = dns.message.make_response(ask.message)
        response.set_rcode(rcode)
        for record in records:
            name, ttl, _, kind, data = record.split(maxsplit=4)
            section = response.authority if kind == "SOA" else response.answer
            section.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
        return response

    return answer
