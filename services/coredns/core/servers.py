"""The servers of a Corefile: which plugins each has, in the order of plugin.cfg, and which server a query is for."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Final

import dns.message
import dns.rcode
import dns.rdataclass

from podwire.proto.kube.chaos import DnsChaos
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis import dns_wire as wire
from podwire.services.chassis.chance import RandomBits
from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.corefile import CorefileError, Directive, ServerBlock, parse
from podwire.services.coredns.core.endpoints import Endpoints
from podwire.services.coredns.core.endpoints import configure as configure_endpoints
from podwire.services.coredns.core.plugins import (
    autopath,
    cache,
    dns_chaos,
    forward,
    hosts,
    kubernetes,
    loadbalance,
    logging,
    loop,
    rewrite,
    rewrite_rules,
    template,
    whoami,
)
from podwire.services.coredns.core.query import (
    Address,
    Ask,
    Follow,
    Message,
    Plugin,
    PluginFailure,
    Query,
    chain,
    reply,
)
from podwire.services.coredns.core.zones import matching

ORDER: Final = (
    "reload",
    "ready",
    "health",
    "prometheus",
    "errors",
    "log",
    "loadbalance",
    "cache",
    "rewrite",
    "autopath",
    "template",
    "hosts",
    "kubernetes",
    "loop",
    "forward",
    "whoami",
)
"""The plugins that are built, in the order of CoreDNS's plugin.cfg, whatever their order in the Corefile."""


@dataclass(slots=True)
class Surroundings:
    """What plugins are given: the cluster, files as they are now, the clock, chance, the log, and probing."""

    cluster: Cluster
    files: Mapping[str, str | None]
    clock: Callable[[], int]
    random: RandomBits
    say: Callable[[str], None]
    start_probing: Callable[[forward.Forward, forward.Server], None]
    own_addresses: tuple[str, ...] = ()


@dataclass(slots=True)
class Server:
    """One server block at work."""

    zones: tuple[str, ...]
    port: int
    plugins: dict[str, Plugin] = field(default_factory=dict)
    follow: Follow = field(default_factory=lambda: chain([]))
    endpoints: Endpoints = field(default_factory=Endpoints)

    @property
    def label(self) -> str:
        """As the metrics call it."""
        return f"dns://:{self.port}"


def wanted_files(blocks: list[ServerBlock]) -> list[str]:
    """The files that plugins need to be read for them."""
    found: list[str] = []
    for block in blocks:
        found += [(*entry.arguments[:1], hosts.DEFAULT_FILE)[0] for entry in block.named("hosts")]
        found += [path for entry in block.named("forward") for path in forward.upstream_files(entry)]
        found += [entry.arguments[-1] for entry in block.named("autopath") if entry.arguments]
        found += ["/etc/resolv.conf"] if block.named("autopath") else []
    return [path for path in dict.fromkeys(found) if path.startswith("/")]


def read_blocks(text: str, environment: Mapping[str, str] | None = None) -> list[ServerBlock]:
    """The server blocks of a Corefile whose directives are all known. Raises CorefileError."""
    blocks = parse(text, environment)
    for block in blocks:
        for entry in block.directives:
            if entry.name not in ORDER:
                raise CorefileError(
                    f"/etc/coredns/Corefile:{entry.line} - Error during parsing: Unknown directive '{entry.name}'"
                )
    return blocks


def build(blocks: list[ServerBlock], given: Surroundings) -> list[Server]:
    """The servers. Raises CorefileError."""
    servers = [_server(block, given) for block in blocks]
    taken: dict[tuple[str, int], None] = {}
    for server in servers:
        for zone in server.zones:
            if (zone, server.port) in taken:
                raise CorefileError(f"cannot serve dns://{zone}:{server.port} - it is already defined")
            taken[zone, server.port] = None
    return servers


_CLASSES: Final = "forward"
"""The plugin with which a server takes questions of other classes than IN (core/dnsserver EnableChaos)."""


def _server(block: ServerBlock, given: Surroundings) -> Server:
    server = Server(block.zones, block.port, endpoints=configure_endpoints(block))
    for name in ORDER:
        plugin = _BUILDERS[name](block, given, server) if name in _BUILDERS and block.named(name) else None
        if plugin is not None:
            server.plugins[name] = plugin
    server.follow = chain(list(server.plugins.items()))
    for plugin in server.plugins.values():
        if isinstance(plugin, kubernetes.Kubernetes | rewrite.Rewrite):
            plugin.resolve = server.follow
    return server


def _only(block: ServerBlock, name: str) -> Directive:
    entry = block.one(name)
    assert entry is not None
    return entry


def _errors(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    logging.configure_errors(_only(block, "errors"))
    return logging.Errors(given.say)


def _log(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    return logging.Log(tuple(map(logging.configure_log, block.named("log"))), given.say, given.clock)


def _rewrite(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    return rewrite.Rewrite(tuple(map(rewrite_rules.configure, block.named("rewrite"))))


def _template(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    return template.Templates(tuple(template.configure(entry, block) for entry in block.named("template")))


def _hosts(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    made = hosts.configure(_only(block, "hosts"), block)
    made.load(given.files.get(made.file) or "")
    return made


def _kubernetes(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    made = kubernetes.configure(_only(block, "kubernetes"), block, given.cluster)
    made.own_addresses = given.own_addresses
    return made


def _autopath(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    entry = _only(block, "autopath")
    zones, source = autopath.configure(entry, block)
    if source != "@kubernetes":
        text = given.files.get(source)
        if text is None:
            raise entry.error(f"failed to parse {source!r}: no such file")
        path = (*search_list(text), "")
        return autopath.AutoPath(zones, lambda query: path)
    if block.one("kubernetes") is None or ("pods", "verified") not in _only(block, "kubernetes").block:
        raise entry.error("@kubernetes needs the kubernetes plugin with 'pods verified'")
    host_search = search_list(given.files.get("/etc/resolv.conf") or "")

    def search(query: Query) -> tuple[str, ...]:
        found = server.plugins["kubernetes"]
        assert isinstance(found, kubernetes.Kubernetes)
        return found.search_path(query, host_search)

    return autopath.AutoPath(zones, search)


def search_list(text: str) -> tuple[str, ...]:
    """The search list of a resolv.conf."""
    rows = [line.split() for line in text.splitlines()]
    return tuple(f"{name.rstrip('.')}.".lower() for row in rows if row[:1] == ["search"] for name in row[1:])


def _forward(block: ServerBlock, given: Surroundings, server: Server) -> Plugin:
    made = [
        forward.configure(entry, given.files.get, given.clock, given.start_probing) for entry in block.named("forward")
    ]
    return made[0] if len(made) == 1 else forward.Several(tuple(made))


_BUILDERS: Final[dict[str, Callable[[ServerBlock, Surroundings, Server], Plugin]]] = {
    "errors": _errors,
    "log": _log,
    "loadbalance": lambda block, given, server: loadbalance.configure(_only(block, "loadbalance")),
    "cache": lambda block, given, server: cache.configure(_only(block, "cache"), block),
    "rewrite": _rewrite,
    "autopath": _autopath,
    "template": _template,
    "hosts": _hosts,
    "kubernetes": _kubernetes,
    "loop": lambda block, given, server: loop.configure(_only(block, "loop"), block, given.random),
    "forward": _forward,
    "whoami": lambda block, given, server: whoami.configure(_only(block, "whoami")),
}


# -- queries

_NO_EXPERIMENTS: Final[Mapping[ObjectKey, DnsChaos]] = {}


def server_for(servers: list[Server], name: str, port: int) -> Server | None:
    """The server on a port whose zone is the longest that a name lies in."""
    fitting = [server for server in servers if server.port == port and matching(server.zones, name)]
    return max(fitting, key=lambda server: len(matching(server.zones, name)), default=None)


def serve(
    servers: list[Server],
    port: int,
    payload: bytes,
    client: Address,
    over_udp: bool,
    now_ns: int,
    random: RandomBits,
    experiments: Mapping[ObjectKey, DnsChaos] = _NO_EXPERIMENTS,
) -> Generator[Ask, Message, tuple[Query, Message, Server | None]]:
    """A message's response, step by step; chaos experiments come before every plugin. Raises wire.Refusal."""
    message = wire.read(payload)
    question = message.question[0]
    name = question.name.to_text().lower()
    query = Query(message, name, question.rdtype, client, over_udp, len(payload), now_ns, random)
    if message.edns > 0:
        return query, reply(query, dns.rcode.BADVERS), None
    server = server_for(servers, name, port)
    if experiments and (wrong := dns_chaos.answer(experiments, query)) is not None:
        return query, wrong, server
    if server is None or (question.rdclass != dns.rdataclass.IN and _CLASSES not in server.plugins):
        return query, reply(query, dns.rcode.REFUSED), server
    try:
        return query, (yield from server.follow(query)), server
    except PluginFailure as failure:
        return query, reply(query, failure.rcode), server
