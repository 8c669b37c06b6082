"""The one error that malformed packet bytes raise."""


class PacketError(ValueError):
    """Bytes that are not what they claim to be; `reason` says what is wrong, in one phrase."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def require(octets: bytes | memoryview, offset: int, length: int, what: str) -> None:
    """Raise PacketError unless `length` octets are there from `offset` on."""
    if len(octets) - offset < length:
        raise PacketError(f"truncated {what}: {max(len(octets) - offset, 0)} of {length} bytes")
