"""Addresses as text, refused with EINVAL."""

import errno

from podwire.proto.packet import addresses
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.errors import KernelError


def ipv4(text: str) -> int:
    """An address; KernelError EINVAL."""
    try:
        return addresses.parse_address(text)
    except PacketError as error:
        raise KernelError(errno.EINVAL, error.reason) from None


def optional_ipv4(text: str) -> int | None:
    """An address, None for ""; KernelError EINVAL."""
    return ipv4(text) if text else None


def prefix(text: str) -> tuple[int, int]:
    """(address, length), host bits kept; KernelError EINVAL."""
    try:
        return addresses.parse_prefix(text)
    except PacketError as error:
        raise KernelError(errno.EINVAL, error.reason) from None


def mac(text: str) -> bytes:
    """Six bytes; KernelError EINVAL."""
    try:
        return addresses.parse_mac(text)
    except PacketError as error:
        raise KernelError(errno.EINVAL, error.reason) from None
