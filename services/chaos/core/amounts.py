"""Amounts as NetworkChaos writes them.

Source: chaos-mesh `api/v1alpha1/networkchaos_types.go`, `pkg/netem/utils.go`.
"""

import re
from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.times import SECOND
from podwire.proto.messages.process import Impairment
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chassis.durations import parse_duration

_RATE: Final = re.compile(r"\s*(\d+)\s*([kmgt]?)(bps|bit)\s*")
_SCALES: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def share(field: str, text: object) -> float:
    """A percentage as a probability; absent is 0. Raises BadChaos."""
    if text in (None, ""):
        return 0.0
    try:
        percent = float(str(text))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise BadChaos(f"{field} {text!r}: a percentage from 0 to 100 is needed")
    return percent / 100


def nanoseconds(field: str, text: object) -> int:
    """A duration; absent is 0. Raises BadChaos."""
    if text in (None, ""):
        return 0
    seconds = parse_duration(str(text))
    if seconds is None:
        raise BadChaos(f"{field} {text!r}: a duration is needed, as in 90ms")
    return round(seconds * SECOND)


def octets_a_second(field: str, text: object) -> int:
    """A rate in bytes a second: `bps` are bytes and binary, `bit` are bits and decimal. Raises BadChaos."""
    found = _RATE.fullmatch(str(text).lower())
    if found is None or not int(found[1]):
        raise BadChaos(
            f"{field} {text!r}: a rate in bps, kbps, mbps, gbps, tbps or bit, kbit, … is needed, as in 1mbps"
        )
    amount, unit = int(found[1]), 1024 if found[3] == "bps" else 1000
    for _ in range(_SCALES[found[2]]):
        amount *= unit
    return amount if found[3] == "bps" else max(amount // 8, 1)


def impairment(spec: Json) -> Impairment:
    """What netem does, of all parts that are given. Raises BadChaos."""
    delay, loss, double, corrupt = (section(spec, name) for name in ("delay", "loss", "duplicate", "corrupt"))
    reorder = section(delay, "reorder")
    return Impairment(
        delay=nanoseconds("spec.delay.latency", delay.get("latency")),
        jitter=nanoseconds("spec.delay.jitter", delay.get("jitter")),
        delay_correlation=share("spec.delay.correlation", delay.get("correlation")),
        reorder=share("spec.delay.reorder.reorder", reorder.get("reorder")),
        reorder_correlation=share("spec.delay.reorder.correlation", reorder.get("correlation")),
        gap=max(int(reorder.get("gap") or 1), 1),
        loss=share("spec.loss.loss", loss.get("loss")),
        loss_correlation=share("spec.loss.correlation", loss.get("correlation")),
        duplicate=share("spec.duplicate.duplicate", double.get("duplicate")),
        duplicate_correlation=share("spec.duplicate.correlation", double.get("correlation")),
        corrupt=share("spec.corrupt.corrupt", corrupt.get("corrupt")),
        corrupt_correlation=share("spec.corrupt.correlation", corrupt.get("correlation")),
    )
