"""One envelope of programming, applied in one turn (the blueprint's protocol of `kernel.<node>`).

The same sequence again gets the stored reply. An older sequence or epoch, or another boot id, is refused. Operations
follow netlink: the first that fails ends the turn and is named; what was done before it stays.
"""

import errno
from collections.abc import Callable
from typing import Any, Final

import msgspec

from podwire.proto.messages import kernel as messages
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.operations import addresses, entries, ipvs, links, qdiscs, read, routes, rules

REQUESTER_LIMIT: Final = 1024
_NAMES: Final = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN"}
"""Netlink's names for numbers that have two."""

HANDLERS: Final[dict[type[Any], Callable[[Kernel, Any], Any]]] = {
    messages.NetnsAdd: links.add_namespace,
    messages.NetnsDelete: links.delete_namespace,
    messages.LinkAdd: links.add,
    messages.LinkSet: links.change,
    messages.LinkDelete: links.delete,
    messages.AddressAdd: addresses.add,
    messages.AddressDelete: addresses.delete,
    messages.RouteAdd: routes.add,
    messages.RouteReplace: routes.add,
    messages.RouteDelete: routes.delete,
    messages.RuleAdd: rules.add,
    messages.RuleDelete: rules.delete,
    messages.NeighbourReplace: entries.replace_neighbour,
    messages.NeighbourDelete: entries.delete_neighbour,
    messages.FdbReplace: entries.replace_fdb,
    messages.FdbDelete: entries.delete_fdb,
    messages.QdiscsReplace: qdiscs.replace,
    messages.SysctlWrite: entries.write_sysctl,
    messages.IptablesRestore: entries.restore_iptables,
    messages.IptablesCommand: entries.run_iptables,
    messages.NftRestore: entries.restore_nft,
    messages.IpsetRestore: entries.restore_ipset,
    messages.ConntrackDelete: entries.delete_connections,
    messages.IpvsServiceAdd: ipvs.add_service,
    messages.IpvsServiceSet: ipvs.set_service,
    messages.IpvsServiceDelete: ipvs.delete_service,
    messages.IpvsDestinationAdd: ipvs.add_destination,
    messages.IpvsDestinationSet: ipvs.set_destination,
    messages.IpvsDestinationDelete: ipvs.delete_destination,
    messages.IpvsFlush: ipvs.flush,
    messages.IpvsZero: ipvs.zero,
    messages.IpvsTimeouts: ipvs.set_timeouts,
    messages.Read: read.read,
}


def apply_operation(kernel: Kernel, operation: Any) -> Any:
    """Do one operation; KernelError if it is refused."""
    with kernel.turn():
        return HANDLERS[type(operation)](kernel, operation)


class Programmer:
    """The kernel's side of the protocol: what each requester did last."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._last: dict[str, tuple[int, int, messages.Programmed]] = {}

    def apply(self, request: messages.Program, now: int) -> messages.Programmed:
        """Apply one envelope; never raises for what is in it."""
        self._kernel.set_time(now)
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        epoch, sequence, stored = self._last.get(request.requester, (-1, -1, None))
        if stored is not None and (request.epoch, request.sequence) == (epoch, sequence):
            return msgspec.structs.replace(stored, repeated=True)
        reply = self._run(request.operations)
        if len(self._last) >= REQUESTER_LIMIT and request.requester not in self._last:
            self._last.pop(next(iter(self._last)))
        self._last[request.requester] = (request.epoch, request.sequence, reply)
        return reply

    def _refusal(self, request: messages.Program) -> messages.Programmed | None:
        if request.boot_id != self._kernel.boot_id:
            return self._failed(-1, errno.ESTALE, "another boot id")
        epoch, sequence, _ = self._last.get(request.requester, (-1, -1, None))
        if request.epoch < epoch:
            return self._failed(-1, errno.ESTALE, f"epoch {request.epoch} is older than {epoch}")
        if request.epoch == epoch and request.sequence < sequence:
            return self._failed(-1, errno.ESTALE, f"sequence {request.sequence} is older than {sequence}")
        return None

    def _run(self, operations: tuple[messages.Operation, ...]) -> messages.Programmed:
        replies: list[Any] = []
        for index, operation in enumerate(operations):
            try:
                replies.append(apply_operation(self._kernel, operation))
            except KernelError as error:
                return self._failed(index, error.errno or errno.EINVAL, str(error.strerror), tuple(replies))
        return messages.Programmed(boot_id=self._kernel.boot_id, replies=tuple(replies))

    def _failed(self, index: int, number: int, message: str, replies: tuple[Any, ...] = ()) -> messages.Programmed:
        name = _NAMES.get(number) or errno.errorcode.get(number, str(number))
        failure = messages.Failure(index=index, errno=number, name=name, message=message)
        return messages.Programmed(boot_id=self._kernel.boot_id, replies=replies, error=failure)
