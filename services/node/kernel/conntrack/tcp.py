"""TCP states as connection tracking sees them: Linux's tables (net/netfilter/nf_conntrack_proto_tcp.c) as data.

Window tracking is not done: a segment is judged by its flags alone, as with nf_conntrack_tcp_be_liberal.
"""

from typing import Final

from podwire.proto.packet.tcp import ACK, FIN, RST, SYN, URG

STATES: Final = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)
IGNORE, INVALID = "IGNORE", "INVALID"
_SHORT: Final = dict(zip(["NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2"], STATES, strict=True)) | {
    "IG": IGNORE,
    "IV": INVALID,
}
SECOND: Final = 1_000_000_000
TIMEOUTS: Final = {
    state: seconds * SECOND
    for state, seconds in zip(STATES, (120, 120, 60, 432000, 120, 60, 30, 120, 10, 120), strict=True)
}

_TABLE: Final = """
original syn    SS SS IG IG IG IG IG SS SS S2
original synack IV IV SR IV IV IV IV IV IV SR
original fin    IV IV FW FW LA LA LA TW CL IV
original ack    ES IV ES ES CW CW TW TW CL IV
original rst    IV CL CL CL CL CL CL CL CL CL
original none   IV IV IV IV IV IV IV IV IV IV
reply    syn    IV S2 IV IV IV IV IV SS IV S2
reply    synack IV SR IG IG IG IG IG IG IG SR
reply    fin    IV IV FW FW LA LA LA TW CL IV
reply    ack    IV IG SR ES CW CW TW TW CL IG
reply    rst    IV CL CL CL CL CL CL CL CL CL
reply    none   IV IV IV IV IV IV IV IV IV IV
"""


def _read_table() -> dict[tuple[int, str, str], str]:
    transitions = {}
    for line in _TABLE.strip().splitlines():
        direction, kind, *outcomes = line.split()
        for state, outcome in zip(STATES, outcomes, strict=True):
            transitions[int(direction == "reply"), kind, state] = _SHORT[outcome]
    return transitions


TRANSITIONS: Final = _read_table()
"""(direction, kind of segment, state) → next state, IGNORE or INVALID."""


def kind_of(flags: int) -> str:
    """Which row of the table a segment's flags select (get_conntrack_index)."""
    if flags & RST:
        return "rst"
    if flags & SYN:
        return "synack" if flags & ACK else "syn"
    if flags & FIN:
        return "fin"
    return "ack" if flags & ACK else "none"


_VALID: Final = (SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG)
_JUDGED: Final = SYN | ACK | FIN | RST | URG


def are_valid(flags: int) -> bool:
    """Whether a segment may have these flags together (tcp_valid_flags)."""
    return flags & _JUDGED in _VALID
