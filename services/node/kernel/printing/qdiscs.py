"""Queue disciplines in the words of `tc qdisc show` (iproute2 6.1: tc/tc_qdisc.c, q_netem.c, q_tbf.c, q_prio.c)."""

from typing import Final

from podwire.proto.messages.kernel import Qdisc as Wanted
from podwire.proto.messages.process import Impairment
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations.qdiscs import all_of
from podwire.services.node.kernel.qdiscs.classes import PRIOMAP
from podwire.services.node.kernel.qdiscs.qdisc import Qdisc

_MICROSECOND: Final = 1000
_SECOND: Final = 1_000_000_000
_PREFIXES: Final = ((10**9, "G"), (10**6, "M"), (10**3, "K"))
_UNQUEUED: Final = {"noqueue": "", "fq_codel": " limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms ecn"}


def qdisc_show(namespace: Namespace, name: str = "", statistics: bool = False) -> str:
    """`tc [-s] qdisc show [dev NAME]`."""
    devices = [device for device in namespace.devices.values() if name in ("", device.name)]
    return "".join(_device(device, not name, statistics) for device in devices)


def _device(device: Device, named: bool, statistics: bool) -> str:
    where = f"dev {device.name} " if named else ""
    found = all_of(device)
    if not found:
        kind = device.queue_discipline if device.up else "noqueue"
        return f"qdisc {kind} 0: {where}root refcnt 2{_UNQUEUED.get(kind, '')} \n"
    return "".join(_qdisc(qdisc, where, statistics) for qdisc in found)


def _qdisc(qdisc: Qdisc, where: str, statistics: bool) -> str:
    wanted = qdisc.wanted
    place = "root refcnt 2" if wanted.parent == "root" else f"parent {wanted.parent}"
    line = f"qdisc {qdisc.kind} {wanted.handle} {where}{place} {_options(wanted)}\n"
    if statistics:
        sent = qdisc.sent
        line += f" Sent {sent.bytes} bytes {sent.packets} pkt (dropped {qdisc.dropped}, overlimits 0 requeues 0) \n"
        line += " backlog 0b 0p requeues 0\n"
    return line


def _options(wanted: Wanted) -> str:
    if wanted.kind == "prio":
        return f"bands {wanted.bands} priomap {' '.join(str(band) for band in PRIOMAP)}"
    if wanted.kind == "sfq":
        return "limit 127p quantum 1514b depth 127 divisor 1024 "
    return _netem(wanted.impairment) if wanted.kind == "netem" else _tbf(wanted)


def _netem(link: Impairment) -> str:
    text = f"limit {link.limit}"
    if link.delay:
        text += f" delay {_time(link.delay)}"
        text += f"  {_time(link.jitter)}" + _correlation(link.delay_correlation) if link.jitter else ""
    for name in ("loss", "duplicate", "reorder", "corrupt"):
        share = getattr(link, name)
        if share:
            text += f" {name} {100 * share:g}%{_correlation(getattr(link, f'{name}_correlation'))}"
    text += f" rate {_rate(link.rate)}" if link.rate else ""
    return text + (f" gap {link.gap}" if link.reorder else "")


def _correlation(share: float) -> str:
    return f" {100 * share:g}%" if share else ""


def _tbf(wanted: Wanted) -> str:
    text = f"rate {_rate(wanted.rate * 8)} burst {_size(wanted.burst)}"
    if wanted.peak_rate:
        text += f" peakrate {_rate(wanted.peak_rate * 8)} minburst {_size(wanted.minimum_burst)}"
    late = (wanted.limit - wanted.burst) * _SECOND // wanted.rate
    return text + (f" lat {_time(late)} " if late >= 0 else f" limit {_size(wanted.limit)} ")


def _time(nanoseconds: int) -> str:
    microseconds = nanoseconds / _MICROSECOND
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.3g}s"
    return f"{microseconds / 1e3:.3g}ms" if microseconds >= 1e3 else f"{microseconds:.0f}us"


def _rate(bits: int) -> str:
    for scale, prefix in _PREFIXES:
        if bits >= scale and bits % scale == 0:
            return f"{bits // scale}{prefix}bit"
    return f"{bits}bit"


def _size(octets: int) -> str:
    if octets >= 1 << 20 and octets % (1 << 20) == 0:
        return f"{octets >> 20}Mb"
    return f"{octets >> 10}Kb" if octets >= 1 << 10 and octets % (1 << 10) == 0 else f"{octets}b"
