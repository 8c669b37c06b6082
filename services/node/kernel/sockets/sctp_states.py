"""SCTP's states and limits (RFC 9260 section 16; Linux's defaults, net/sctp/protocol.c), times in ns."""

from typing import Final

SECOND: Final = 1_000_000_000
RTO_INITIAL: Final = 3 * SECOND
RTO_MINIMUM: Final = 1 * SECOND
RTO_MAXIMUM: Final = 60 * SECOND
INIT_RETRIES: Final = 8
ASSOCIATION_RETRIES: Final = 10
HEARTBEAT_INTERVAL: Final = 30 * SECOND
COOKIE_LIFE: Final = 60 * SECOND
OUTBOUND_STREAMS: Final = 10
INBOUND_STREAMS: Final = 65535
WINDOW: Final = 106_496
"""What a receiver advertises at first: half of net.core.rmem_default."""
SEND_BUFFER: Final = 212_992
LARGEST_MESSAGE: Final = 65_536
TSN_SPAN: Final = 4096
"""How far ahead of the cumulative TSN a chunk may be (SCTP_TSN_MAP_SIZE)."""
MISSES: Final = 3
"""So many reports of a gap make a fast retransmission."""

OPENING: Final = ("COOKIE_WAIT", "COOKIE_ECHOED")
SENDING: Final = ("ESTABLISHED", "SHUTDOWN_PENDING", "SHUTDOWN_RECEIVED")
"""States in which DATA leaves."""
RECEIVING: Final = ("ESTABLISHED", "SHUTDOWN_PENDING", "SHUTDOWN_SENT")
"""States in which DATA is taken."""
SHUTTING: Final = ("SHUTDOWN_SENT", "SHUTDOWN_ACK_SENT")
"""States in which T2 runs."""
