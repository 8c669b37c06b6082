"""Whether a cluster is as rules want it: only what the rules name is probed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podwire.proto.kube import resources
from podwire.scripts.cluster.layout import OUTSIDE
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.reach.expectation import Judgement, Rule, compared, idle, matches
from podwire.scripts.reach.matrix import probes
from podwire.scripts.reach.probing import make
from podwire.scripts.reach.survey import Asked, ends
from podwire.scripts.trace.resolve import node_addresses


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the truth differs from the rules: probes, and rules that name none."""

    differing: tuple[Judgement, ...]
    idle_rules: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is as the rules want it."""
        return not self.differing and not self.idle_rules

    def lines(self) -> list[str]:
        """A line for each difference."""
        return [*map(str, self.differing), *self.idle_rules]


async def check(client: Operator, rules: Sequence[Rule], timeout: float, via: str = "") -> Verdict:
    """Probes what the rules name, and compares. Raises UserError."""
    known = [entry["metadata"]["name"] for entry in await client.api.list(resources.NAMESPACES)]
    origins, targets = await ends(client, scope(rules, known, timeout))
    wanted = [probe for probe in probes(origins, targets) if any(rule.names(probe) for rule in rules)]
    routers = await node_addresses(client, via, "--via") if via else ()
    results = await make(client, wanted, range(len(wanted)), timeout, routers)
    differing = tuple(each for each in compared(results, rules) if each.differs)
    return Verdict(differing, tuple(idle(results, rules)))


def scope(rules: Sequence[Rule], namespaces: Sequence[str], timeout: float) -> Asked:
    """Who must be looked at so that all that the rules name is probed, of the namespaces that there are."""
    places = list(_places(rules))
    named = [known for known in namespaces if any(matches(place, known) for place in places)]
    ends = [name for rule in rules for name in (rule.origin, rule.target)]
    machines = [rule.port for rule in rules if rule.port is not None and "/" not in rule.target and rule.target != "*"]
    return Asked(
        machine_ports=tuple(dict.fromkeys(machines)),
        namespaces=tuple(named) or ("default",),
        services=any(rule.target == "*" or rule.target.startswith("svc/") for rule in rules),
        nodes=any("/" not in name and name not in ("*", OUTSIDE) for name in ends),
        external=OUTSIDE in ends,
        timeout=timeout,
    )


def _places(rules: Sequence[Rule]) -> Iterator[str]:
    """The globs of namespaces in `namespace/pod` and `svc/namespace/name`."""
    for rule in rules:
        for pattern in (rule.origin, rule.target):
            parts = pattern.removeprefix("svc/").split("/")
            if len(parts) == 2:
                yield parts[0]
