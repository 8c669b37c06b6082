"""Addresses as text, refused with EINVAL."""

import errno
from collections.abc import Callable

from podwire.proto.packet import addresses
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.errors import KernelError


def ipv4(text: str) -> int:
    """An IPv4 address; KernelError EINVAL."""
    return _checked(addresses.parse_ipv4, text)


def address(text: str) -> int:
    """An address of either family; KernelError EINVAL."""
    return _checked(addresses.parse_address, text)


def _checked(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except PacketError as error:
        raise KernelError(errno.EINVAL, error.reason) from None


def optional_ipv4(text: str) -> int | None:
    """An IPv4 address, None for ""; KernelError EINVAL."""
    return ipv4(text) if text else None


def optional(text: str) -> int | None:
    """An address of either family, None for ""; KernelError EINVAL."""
    return address(text) if text else None


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
