"""Queue disciplines (rtnetlink RTM_NEWQDISC, RTM_DELQDISC): a device's whole tree at once."""

import errno
import re
from typing import Final

from podwire.proto.messages import kernel as messages
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.qdiscs.classes import Prio, Sfq
from podwire.services.node.kernel.qdiscs.netem import Netem
from podwire.services.node.kernel.qdiscs.qdisc import Qdisc
from podwire.services.node.kernel.qdiscs.tbf import Tbf

_KINDS: Final[dict[str, type[Qdisc]]] = {kind.kind: kind for kind in (Netem, Tbf, Prio, Sfq)}
_HANDLE: Final = re.compile(r"([0-9a-f]{1,4}):([0-9a-f]{0,4})")
_MOST_BANDS: Final = 16


def replace(kernel: Kernel, operation: messages.QdiscsReplace) -> None:
    """ENODEV, EINVAL for a bad discipline, ENOENT for a parent that is not there, EEXIST for one taken twice."""
    device = kernel.namespace(operation.netns).device(operation.device)
    root = _tree(device, operation.qdiscs)
    if device.qdisc is not None:
        device.qdisc.detach()
    device.qdisc = root
    kernel.changed()


def _tree(device: Device, wanted: tuple[messages.Qdisc, ...]) -> Qdisc | None:
    root: Qdisc | None = None
    made: dict[int, Qdisc] = {}
    for each in wanted:
        qdisc = _make(device, each, made)
        if each.parent == "root":
            if root is not None:
                raise KernelError(errno.EEXIST, "Exclusivity flag on, cannot modify")
            root = qdisc
        else:
            _hang(qdisc, each.parent, made)
        made[qdisc.major] = qdisc
    return root


def _make(device: Device, wanted: messages.Qdisc, made: dict[int, Qdisc]) -> Qdisc:
    major, minor = _numbers(wanted.handle)
    if minor or not major:
        raise KernelError(errno.EINVAL, f'handle "{wanted.handle}": a major number and a colon are needed, as in 1:')
    if major in made:
        raise KernelError(errno.EEXIST)
    if wanted.kind == "tbf" and not (wanted.rate > 0 and wanted.burst > 0 and wanted.limit > 0):
        raise KernelError(errno.EINVAL, "tbf: rate, burst and limit are needed")
    if wanted.kind == "prio" and not 2 <= wanted.bands <= _MOST_BANDS:
        raise KernelError(errno.EINVAL, f"prio: bands {wanted.bands}: from 2 to {_MOST_BANDS} are possible")
    return _KINDS[wanted.kind](device, wanted, major)


def _hang(qdisc: Qdisc, parent: str, made: dict[int, Qdisc]) -> None:
    major, minor = _numbers(parent)
    above = made.get(major)
    if above is None:
        raise KernelError(errno.ENOENT, f'parent "{parent}": Failed to find qdisc with specified classid.')
    if isinstance(above, Prio) and not 1 <= minor <= above.wanted.bands:
        raise KernelError(errno.ENOENT, f'parent "{parent}": Specified class not found.')
    if minor in above.children:
        raise KernelError(errno.EEXIST)
    above.children[minor] = qdisc


def _numbers(text: str) -> tuple[int, int]:
    found = _HANDLE.fullmatch(text)
    if found is None:
        raise KernelError(errno.EINVAL, f'"{text}": a handle is needed, as in 1: or 1:4')
    return int(found[1], 16), int(found[2] or "0", 16)


def all_of(device: Device) -> list[Qdisc]:
    """A device's disciplines, parents first."""
    found = [] if device.qdisc is None else [device.qdisc]
    for qdisc in found:
        found += qdisc.children.values()
    return found


def read(namespace: Namespace) -> dict[str, list[messages.Qdisc]]:
    """What was asked for, by device."""
    found = {device.name: [each.wanted for each in all_of(device)] for device in namespace.devices.values()}
    return {name: qdiscs for name, qdiscs in found.items() if qdiscs}
