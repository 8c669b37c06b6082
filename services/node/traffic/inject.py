"""Sending packets as they are: IP packets through a raw socket, frames through a packet socket."""

import errno
from typing import Final

from podwire.proto.messages import machine as messages
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.sockets.raw import send_raw
from podwire.services.node.shell import KernelShell

_LARGEST_FRAME: Final = 14 + 65535


def inject(shell: KernelShell, namespace: str, call: messages.Inject) -> messages.Injected:
    """Sends each packet from a namespace; what the kernel said to each."""
    errors = []
    with shell.turn() as kernel:
        for packet in call.packets:
            errors.append(_error_of(kernel, namespace, call.device, packet))
    return messages.Injected(errors=errors)


def _error_of(kernel: Kernel, namespace: str, device: str, packet: messages.RawPacket) -> str:
    try:
        if packet.link == "ip":
            send_raw(kernel.namespace(namespace), packet.data, packet.trace)
        elif len(packet.data) > _LARGEST_FRAME:
            raise KernelError(errno.EMSGSIZE)
        else:
            kernel.send_frame(namespace, device, packet.data, kernel.now, packet.trace)
    except KernelError as error:
        return f"{errno.errorcode.get(error.errno or 0, error.errno)}: {error.strerror}"
    return ""
