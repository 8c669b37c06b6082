"""The state cookie of SCTP (RFC 9260 section 5.1.3): all that a listener knows of a peer, signed, kept by the peer."""

import hashlib
import hmac
import struct
from typing import Final, NamedTuple

_FORMAT: Final = struct.Struct("!QIIIIIHH18sH18sH")
_ADDRESS: Final = 18
"""Bytes of an address of either family, as this kernel counts them."""
_SIGNATURE: Final = 32


class Cookie(NamedTuple):
    """`issued` is ns; streams are (ours out, theirs out); addresses and ports bind it to one pair of endpoints."""

    issued: int
    own_tag: int
    peer_tag: int
    own_tsn: int
    peer_tsn: int
    peer_window: int
    outbound_streams: int
    inbound_streams: int
    local: int
    local_port: int
    remote: int
    remote_port: int

    def sign(self, secret: bytes) -> bytes:
        """The cookie's bytes."""
        ends = self.local.to_bytes(_ADDRESS), self.local_port, self.remote.to_bytes(_ADDRESS), self.remote_port
        body = _FORMAT.pack(*self[:-4], *ends)
        return body + hmac.digest(secret, body, hashlib.sha256)

    @classmethod
    def verify(cls, octets: bytes, secret: bytes) -> "Cookie | None":
        """The cookie if we made it, else None."""
        body, signature = octets[:-_SIGNATURE], octets[-_SIGNATURE:]
        if len(body) != _FORMAT.size or not hmac.compare_digest(signature, hmac.digest(secret, body, hashlib.sha256)):
            return None
        fields = list(_FORMAT.unpack(body))
        fields[-4], fields[-2] = int.from_bytes(fields[-4]), int.from_bytes(fields[-2])
        return cls._make(fields)
