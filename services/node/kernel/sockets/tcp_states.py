"""TCP's transitions and limits as data (RFC 9293 section 3.3.2; Linux's defaults), times in ns."""

from typing import Final

SECOND: Final = 1_000_000_000
TIME_WAIT: Final = 60 * SECOND
FIN_TIMEOUT: Final = 60 * SECOND
SYN_RETRIES: Final = 6
SYN_ACK_RETRIES: Final = 5
DATA_RETRIES: Final = 15
ORPHAN_RETRIES: Final = 8
SEND_BUFFER: Final = 262_144
WINDOW_SCALE: Final = 7
DEFAULT_MSS: Final = 536

SYNCHRONIZED: Final = (
    "ESTABLISHED",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "CLOSE_WAIT",
    "CLOSING",
    "LAST_ACK",
    "TIME_WAIT",
)
AFTER_CLOSE: Final = {"SYN_RECEIVED": "FIN_WAIT_1", "ESTABLISHED": "FIN_WAIT_1", "CLOSE_WAIT": "LAST_ACK"}
"""State → state once our FIN is queued."""
AFTER_THEIR_FIN: Final = {"SYN_RECEIVED": "CLOSE_WAIT", "ESTABLISHED": "CLOSE_WAIT", "FIN_WAIT_2": "TIME_WAIT"}
"""State → state once the peer's FIN is in (FIN_WAIT_1 depends on whether ours is acknowledged)."""
AFTER_FIN: Final = ("CLOSE_WAIT", "CLOSING", "LAST_ACK")
"""The peer has said that nothing more comes."""
AFTER_OUR_FIN_ACKED: Final = {"FIN_WAIT_1": "FIN_WAIT_2", "CLOSING": "TIME_WAIT", "LAST_ACK": "CLOSED"}
"""State → state once our FIN is acknowledged."""
