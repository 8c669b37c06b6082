"""TimeChaos: how far the clocks of containers' programs go wrong.

Source: chaos-mesh `controllers/chaosimpl/timechaos/types.go`, `pkg/time/fakeclock`: several objects add up.
"""

from collections.abc import Iterable
from typing import Final

from podwire.proto.kube.json_objects import items
from podwire.proto.kube.times import SECOND
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chassis.durations import parse_duration

_CLOCK: Final = "CLOCK_REALTIME"


def check(spec: Json) -> None:
    """Raises BadChaos for an offset that is none, and for clocks that cannot be shifted."""
    offset(spec)
    for clock in items(spec, "clockIds"):
        if clock != _CLOCK:
            raise BadChaos(f"spec.clockIds {clock!r}: only {_CLOCK} can be shifted")


def offset(spec: Json) -> int:
    """Nanoseconds. Raises BadChaos."""
    text = str(spec.get("timeOffset", ""))
    size = parse_duration(text[1:] if text[:1] in ("-", "+") else text)
    if size is None:
        raise BadChaos(f"spec.timeOffset {text!r}: a duration with its sign is needed, as in -10m or 1h30m")
    return round(size * SECOND) * (-1 if text.startswith("-") else 1)


def wanted(identifier: str, experiments: Iterable[tuple[Json, list[Json]]]) -> int:
    """How far (ns) the clock of a container should be off, by the experiments in force, each with its records."""
    return sum(
        offset(chaos["spec"]) for chaos, records in experiments if any(record["id"] == identifier for record in records)
    )
