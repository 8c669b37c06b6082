"""What ends a SPDY connection."""


class ProtocolError(Exception):
    """The other side broke the protocol; the connection cannot go on."""
