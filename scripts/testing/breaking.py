"""Faults of a simulated cluster by the names that `podwire chaos` takes."""

from typing import Final

import msgspec

from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos.links import BadDirection
from podwire.scripts.cluster.layout import OUTSIDE
from podwire.scripts.errors import UserError
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulatedProcess
from podwire.scripts.testing import calls
from podwire.services.chassis.clock import SECOND

VERBS: Final = ("kill", "pause", "resume", "power-off", "power-on", "link", "skew", "heal")


class Breaking:
    """What is broken in one cluster."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    def do(self, call: calls.Chaos) -> None:
        """Breaks or mends something. Raises UserError."""
        match call.verb:
            case "kill" if call.seconds:
                self._cluster.kill(self.process(call.target), call.seconds)
            case "kill":
                self._cluster.kill(self.process(call.target))
            case "pause":
                self._cluster.pause(self.process(call.target))
            case "resume":
                self._cluster.resume(self.process(call.target))
            case "power-off":
                self._cluster.power_off(self._machine(call.target))
            case "power-on":
                self._cluster.power_on(self._machine(call.target))
            case "skew":
                self._cluster.set_skew(self._machine(call.target), round(call.seconds * SECOND))
            case "link":
                self._link(call)
            case "heal":
                self._heal()
            case _:
                raise UserError(f"{call.verb}: {', '.join(VERBS)}: one of them is needed")

    def _link(self, call: calls.Chaos) -> None:
        source, target = self._machine(call.target, OUTSIDE), self._machine(call.other, OUTSIDE)
        if source == target:
            raise UserError(f"{source} {target}: two machines are needed")
        try:
            impairment = msgspec.convert(call.impairment, Impairment)
        except msgspec.ValidationError as error:
            raise UserError(f"link {source} {target}: {error}") from None
        ways = [(source, target)] if call.one_way else [(source, target), (target, source)]
        bad = [entry for entry in self._cluster.bad if (entry.source, entry.target) not in ways]
        self._cluster.set_links([*bad, *(BadDirection(*way, impairment) for way in ways)])

    def _heal(self) -> None:
        self._cluster.set_links([])
        for node in list(self._cluster.skews):
            self._cluster.set_skew(node, 0)

    def _machine(self, name: str, *more: str) -> str:
        known = [*(machine.name for machine in self._cluster.layout.machines), *more]
        if name not in known:
            raise UserError(f"machine {name!r}: there is no such machine; there are {', '.join(known)}")
        return name

    def process(self, target: str) -> SimulatedProcess:
        """COMPONENT, COMPONENT@NODE, COMPONENT/INDEX (of those that serve), or a machine's name. Raises UserError."""
        alive = [entry for entry in self._cluster.processes if entry.alive]
        component, at, node = target.partition("@")
        name, slash, index = target.partition("/")
        if at:
            found = [entry for entry in alive if (entry.plan.component, entry.plan.node) == (component, node)]
        elif slash:
            serving = [entry for entry in alive if entry.plan.component == name and entry.claimed]
            found = serving[int(index) : int(index) + 1] if index.isdigit() else []
        else:
            machines = [entry for entry in alive if entry.plan.component == "node" and entry.plan.node == target]
            found = machines or [entry for entry in alive if entry.plan.component == target]
        if len(found) != 1:
            known = ", ".join(dict.fromkeys(entry.plan.place for entry in alive))
            raise UserError(f"target {target!r}: {len(found)} such processes; there are {known}")
        return found[0]
