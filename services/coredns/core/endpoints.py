"""The plugins that serve no names: health, ready, prometheus, reload. What a block says of them."""

from dataclasses import dataclass

from podwire.services.coredns.core.corefile import Directive, ServerBlock


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Ports (0: not served) and times in seconds (0: never)."""

    health_port: int = 0
    lameduck: float = 0.0
    ready_port: int = 0
    metrics_port: int = 0
    reload_every: float = 0.0
    reload_jitter: float = 0.0


def configure(block: ServerBlock) -> Endpoints:
    """What a server block says. Raises CorefileError."""
    health, every = block.one("health"), block.one("reload")
    interval, jitter = _reload(every) if every else (0.0, 0.0)
    return Endpoints(
        health_port=_port(health, 8080),
        lameduck=_lameduck(health) if health else 0.0,
        ready_port=_port(block.one("ready"), 8181),
        metrics_port=_port(block.one("prometheus"), 9153),
        reload_every=interval,
        reload_jitter=jitter,
    )


def _port(directive: Directive | None, default: int) -> int:
    if directive is None:
        return 0
    if not directive.arguments:
        return default
    port = directive.arguments[0].rpartition(":")[2]
    if len(directive.arguments) > 1 or not (port.isdecimal() and 0 < int(port) < 65536):
        raise directive.error(f"invalid address {' '.join(directive.arguments)!r}")
    return int(port)


def _lameduck(directive: Directive) -> float:
    seconds = 0.0
    for name, *arguments in directive.block:
        if name != "lameduck" or len(arguments) != 1:
            raise directive.error(f"unknown property '{name}'")
        seconds = directive.duration(arguments[0])
    return seconds


def _reload(directive: Directive) -> tuple[float, float]:
    """Every 30 s, and up to 15 s more, unless it is said otherwise (plugin/reload/setup.go)."""
    if len(directive.arguments) > 2:
        raise directive.wrong_arguments()
    given = [directive.duration(text) for text in directive.arguments]
    interval = given[0] if given else 30.0
    if interval < 2:
        raise directive.error(f"interval value must be greater or equal to 2s: {directive.arguments[0]}")
    jitter = given[1] if len(given) > 1 else interval / 2
    if jitter < 1:
        raise directive.error(f"jitter value must be greater or equal to 1s: {directive.arguments[1]}")
    return interval, min(jitter, interval / 2)
