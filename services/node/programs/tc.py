"""tc (iproute2 6.1): shows the queue disciplines of the program's own namespace."""

from typing import Final

from podwire.services.node.kernel.printing.qdiscs import qdisc_show
from podwire.services.node.process import Process

_SHOW: Final = ("show", "list", "ls")
_STATISTICS: Final = ("-s", "-statistics", "--statistics")
_BAD: Final = 1


async def tc(process: Process) -> int:
    """tc [-s] qdisc [show] [dev DEVICE]"""
    words = [word for word in process.arguments[1:] if word not in _STATISTICS]
    if len(words) < len(process.arguments) - 1 and not words:
        words = ["qdisc"]
    if not words or words[0] not in ("qdisc", "q"):
        what = words[0] if words else ""
        await process.complain(f'Object "{what}" is not built in podwire: try "tc qdisc show".')
        return _BAD
    rest = words[2:] if words[1:2] and words[1] in _SHOW else words[1:]
    if rest and rest[0] != "dev":
        await process.complain(f'Command "{rest[0]}" is not built in podwire: try "tc qdisc show [dev DEVICE]".')
        return _BAD
    if rest and len(rest) != 2:
        await process.complain('Command line is not complete. Try option "help"')
        return _BAD
    return await _show(process, rest[1] if rest else "", len(words) < len(process.arguments) - 1)


async def _show(process: Process, name: str, statistics: bool) -> int:
    with process.network.shell.turn() as kernel:
        kernel.settle()
        namespace = kernel.namespace(process.network.namespace)
        known = not name or name in namespace.devices
        text = qdisc_show(namespace, name, statistics) if known else ""
    if not known:
        await process.complain(f'Cannot find device "{name}"')
        return _BAD
    await process.print(text)
    return 0
