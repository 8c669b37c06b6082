"""What a Corefile's server block means for the kubernetes plugin and its neighbours."""

from dataclasses import dataclass

from podwire.services.coredns.core.corefile import CorefileError, Directive, ServerBlock, absolute, parse


@dataclass(frozen=True, slots=True)
class Configuration:
    """A server: its port, the zones of the kubernetes plugin, and the plugins' options."""

    port: int
    zone: str
    reverse: tuple[str, ...]
    ttl: int = 5
    pods: str = "disabled"
    shuffle: bool = False
    health_port: int = 0
    ready_port: int = 0
    without_effect: tuple[str, ...] = ()
    """Directives that usual Corefiles have and that change nothing here: said in the log at the start."""


def read(text: str) -> Configuration:
    """The configuration in a Corefile. Raises CorefileError."""
    blocks = parse(text)
    if len(blocks) != 1:
        raise CorefileError(f"Corefile: one server block is served, this one has {len(blocks)}")
    return _configure(blocks[0])


def _configure(block: ServerBlock) -> Configuration:
    kubernetes = block.directive("kubernetes")
    if kubernetes is None:
        raise CorefileError("Corefile: the server block has no kubernetes plugin, so nothing can be answered")
    zones = [absolute(name) for name in kubernetes.arguments] or list(block.zones)
    forward = [zone for zone in zones if not zone.endswith(".arpa.")]
    if len(forward) != 1:
        raise CorefileError(f"Corefile:{kubernetes.line} - plugin/kubernetes: one cluster domain, not {forward}")
    return Configuration(
        port=block.port,
        zone=forward[0],
        reverse=tuple(zone for zone in zones if zone.endswith(".arpa.")),
        ttl=_ttl(kubernetes),
        pods=_pods(kubernetes),
        shuffle=block.directive("loadbalance") is not None,
        health_port=_port(block.directive("health"), 8080),
        ready_port=_port(block.directive("ready"), 8181),
        without_effect=_without_effect(block),
    )


def _without_effect(block: ServerBlock) -> tuple[str, ...]:
    told = [name for name in ("errors", "cache") if block.directive(name) is not None]
    health = block.directive("health")
    if health is not None and _option(health, "lameduck") is not None:
        told.append("health lameduck")
    return tuple(told)


def _option(directive: Directive, name: str) -> tuple[str, ...] | None:
    return next((row[1:] for row in directive.block if row[0] == name), None)


def _ttl(directive: Directive) -> int:
    row = _option(directive, "ttl")
    if row is None:
        return 5
    if len(row) != 1 or not row[0].isdigit() or not 0 <= int(row[0]) <= 3600:
        raise CorefileError(f"Corefile:{directive.line} - plugin/kubernetes: ttl must be in range [0, 3600]: {row}")
    return int(row[0])


def _pods(directive: Directive) -> str:
    row = _option(directive, "pods")
    known = ("disabled", "insecure")
    for option in directive.block:
        if option[0] not in ("pods", "ttl", "fallthrough"):
            raise CorefileError(f"Corefile:{directive.line} - plugin/kubernetes: unknown property '{option[0]}'")
    if row is None:
        return "disabled"
    if len(row) != 1 or row[0] not in known:
        raise CorefileError(f"Corefile:{directive.line} - plugin/kubernetes: pods must be one of {', '.join(known)}")
    return row[0]


def _port(directive: Directive | None, default: int) -> int:
    if directive is None:
        return 0
    if not directive.arguments:
        return default
    port = directive.arguments[0].rpartition(":")[2]
    if not (port.isdigit() and 0 < int(port) < 65536):
        raise CorefileError(f"Corefile:{directive.line} - plugin/{directive.name}: invalid address {port!r}")
    return int(port)
