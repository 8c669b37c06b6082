"""What one decision works with, and how it says what it does."""

from typing import NamedTuple

from podwire.proto.kube.times import rfc3339
from podwire.services.chassis.chance import RandomBits, hexadecimal
from podwire.services.controllers.core.cluster import Cluster
from podwire.services.controllers.core.writes import About, Plan, event


class Turn(NamedTuple):
    """The plan that is being made, the cluster as it is seen, the time (ns) and chance."""

    plan: Plan
    cluster: Cluster
    now: int
    random: RandomBits

    def say(self, about: About, reason: str, text: str, kind: str = "Normal") -> None:
        """An Event."""
        self.plan.writes.append(event(about, hexadecimal(self.random, 16), rfc3339(self.now), reason, text, kind))
