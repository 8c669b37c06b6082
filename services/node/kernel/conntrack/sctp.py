"""SCTP as connection tracking sees it: Linux's states and timeouts (net/netfilter/nf_conntrack_proto_sctp.c) as data.

Verification tags are checked as there (RFC 9260 section 8.5); a packet that fails is INVALID and changes nothing.
"""

from typing import Final

from podwire.proto.packet import sctp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.sctp import Chunk, Init, Sctp
from podwire.services.node.kernel.conntrack.entry import ORIGINAL, REPLY

STATES: Final = (
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
)
INVALID: Final = "INVALID"
TIMEOUTS: Final = dict(zip(STATES[1:], (10, 3, 3, 210, 3, 3, 3, 30), strict=True))
"""State → seconds; each is a sysctl `net.netfilter.nf_conntrack_sctp_timeout_<state>`."""
SYSCTLS: Final = {f"net.netfilter.nf_conntrack_sctp_timeout_{state.lower()}": str(s) for state, s in TIMEOUTS.items()}
_SHORT: Final = dict(zip(["NO", "CL", "CW", "CE", "ES", "SS", "SR", "SA", "HS"], STATES, strict=True)) | {"IV": INVALID}
_KINDS: Final = {
    "init": sctp.INIT,
    "initack": sctp.INIT_ACK,
    "abort": sctp.ABORT,
    "shutdown": sctp.SHUTDOWN,
    "shutack": sctp.SHUTDOWN_ACK,
    "error": sctp.ERROR,
    "echo": sctp.COOKIE_ECHO,
    "cookack": sctp.COOKIE_ACK,
    "shutcomp": sctp.SHUTDOWN_COMPLETE,
    "hb": sctp.HEARTBEAT,
    "hback": sctp.HEARTBEAT_ACK,
}
_TABLE: Final = """
original init     CL CL CW CE ES CL CL SA CW
original initack  CL CL CW CE ES SS SR SA CL
original abort    CL CL CL CL CL CL CL CL CL
original shutdown CL CL CW CE SS SS SR SA CL
original shutack  SA CL CW CE ES SA SA SA SA
original error    CL CL CW CE ES SS SR SA CL
original echo     CL CL CE CE ES SS SR SA CL
original cookack  CL CL CW ES ES SS SR SA CL
original shutcomp CL CL CW CE ES SS SR CL CL
original hb       HS CL CW CE ES SS SR SA HS
original hback    CL CL CW CE ES SS SR SA HS
reply    init     IV CL CW CE ES SS SR SA IV
reply    initack  IV CW CW CE ES SS SR SA IV
reply    abort    IV CL CL CL CL CL CL CL IV
reply    shutdown IV CL CW CE SR SS SR SA IV
reply    shutack  IV CL CW CE ES SA SA SA IV
reply    error    IV CL CW CL ES SS SR SA IV
reply    echo     IV CL CE CE ES SS SR SA IV
reply    cookack  IV CL CW ES ES SS SR SA IV
reply    shutcomp IV CL CW CE ES SS SR CL IV
reply    hb       IV CL CW CE ES SS SR SA HS
reply    hback    IV CL CW CE ES SS SR SA ES
"""


def _read_table() -> dict[tuple[int, int, str], str]:
    transitions = {}
    for line in _TABLE.strip().splitlines():
        direction, kind, *outcomes = line.split()
        for state, outcome in zip(STATES, outcomes, strict=True):
            transitions[int(direction == "reply"), _KINDS[kind], state] = _SHORT[outcome]
    return transitions


TRANSITIONS: Final = _read_table()
"""(direction, chunk type, state) → next state or INVALID; other chunks change nothing."""
_ALONE: Final = (sctp.INIT, sctp.INIT_ACK, sctp.SHUTDOWN_COMPLETE)
_FIRST: Final = (sctp.COOKIE_ACK, sctp.COOKIE_ECHO)
_HEARTBEATS: Final = (sctp.HEARTBEAT, sctp.HEARTBEAT_ACK)
_OUT_OF_THE_BLUE: Final = (sctp.ABORT, sctp.SHUTDOWN_COMPLETE, sctp.COOKIE_ACK)
_TAG_BY_CHUNK: Final = (
    *(sctp.INIT, sctp.SHUTDOWN_COMPLETE, sctp.COOKIE_ECHO, sctp.ABORT, sctp.SHUTDOWN_ACK),
    *(sctp.HEARTBEAT, sctp.HEARTBEAT_ACK),
)


class Tracking:
    """What is known of an association: the verification tag each direction must carry, and whether it sent INIT.

    `doubted` is the direction of a heartbeat with another tag, which its answer may yet prove right; `refreshed` says
    whether the last packet keeps the connection alive.
    """

    __slots__ = ("begun", "doubted", "refreshed", "state", "tags")

    def __init__(self) -> None:
        self.state = "NONE"
        self.tags = [0, 0]
        self.begun = [False, False]
        self.doubted: int | None = None
        self.refreshed = True


def read(octets: memoryview) -> Sctp | None:
    """The packet if it passes do_basic_checks, else None; its CRC32c is checked before, where it is (sctp_error)."""
    try:
        packet = Sctp.parse(octets, verify=False)
    except PacketError:
        return None
    alone = False
    for number, chunk in enumerate(packet.chunks):
        alone = alone or chunk.type in _ALONE
        if number and (alone or chunk.type in _FIRST):
            return None
    return packet


def begin(packet: Sctp) -> Tracking | None:
    """A new association's tracking (sctp_new), its first packet taken in; None if it is INVALID."""
    tracking = Tracking()
    for chunk in packet.chunks:
        if chunk.type in _OUT_OF_THE_BLUE:
            return None
        if TRANSITIONS.get((ORIGINAL, chunk.type, "NONE"), "NONE") == "NONE":
            return None
        if chunk.type == sctp.HEARTBEAT:
            tracking.tags[ORIGINAL] = packet.verification_tag
        elif chunk.type == sctp.SHUTDOWN_ACK:
            tracking.tags[REPLY] = packet.verification_tag
    return tracking if advance(tracking, packet, ORIGINAL, confirmed=False) else None


def advance(tracking: Tracking, packet: Sctp, direction: int, *, confirmed: bool = True) -> bool:
    """Take a packet in (nf_conntrack_sctp_packet); false if it is INVALID."""
    types = [chunk.type for chunk in packet.chunks]
    tracking.refreshed = True
    if not any(kind in types for kind in _TAG_BY_CHUNK) and packet.verification_tag != tracking.tags[direction]:
        return False
    for chunk in packet.chunks:
        if chunk.type in _HEARTBEATS:
            fits = _heartbeat_fits(tracking, packet, chunk, direction)
            if fits is None:
                tracking.refreshed = False
                continue
        else:
            fits = _tag_fits(tracking, packet, chunk, direction)
        if not fits:
            return False
        old = tracking.state
        new = TRANSITIONS.get((direction, chunk.type, old), old)
        if new == INVALID or not _note_tags(tracking, chunk, direction):
            return False
        if chunk.type == sctp.INIT and confirmed and old == new == "CLOSED":
            tracking.refreshed = False
        tracking.state = new
    return True


def _tag_fits(tracking: Tracking, packet: Sctp, chunk: Chunk, direction: int) -> bool:
    tag, own = packet.verification_tag, tracking.tags[direction]
    if chunk.type == sctp.INIT:
        return tag == 0
    if chunk.type in (sctp.ABORT, sctp.SHUTDOWN_COMPLETE):
        return tag == tracking.tags[1 - direction if chunk.flags & sctp.TAG_REFLECTED else direction]
    if chunk.type == sctp.COOKIE_ECHO:
        return tag == own
    return True


def _heartbeat_fits(tracking: Tracking, packet: Sctp, chunk: Chunk, direction: int) -> bool | None:
    """A heartbeat with a new tag may come from a peer that began anew; None lets it pass and changes nothing else."""
    tag, own = packet.verification_tag, tracking.tags[direction]
    if own in (0, tag):
        tracking.tags[direction] = tag
        if own:
            tracking.doubted = None
        return True
    if not tracking.refreshed or any(each.type == sctp.DATA for each in packet.chunks):
        return False
    if chunk.type == sctp.HEARTBEAT:
        tracking.doubted = direction
        return None
    if tracking.doubted in (None, direction):
        return False
    tracking.doubted = None
    tracking.tags[direction], tracking.tags[1 - direction] = tag, 0
    return True


def _note_tags(tracking: Tracking, chunk: Chunk, direction: int) -> bool:
    if chunk.type not in (sctp.INIT, sctp.INIT_ACK):
        if chunk.type == sctp.COOKIE_ACK:
            tracking.begun = [False, False]
        return True
    try:
        tag = Init.parse(chunk.value).tag
    except PacketError:
        return False
    other = 1 - direction
    if chunk.type == sctp.INIT:
        if all(tracking.begun):
            tracking.begun[other] = False
        tracking.begun[direction] = True
    else:
        known = tracking.tags[other]
        if known != tag and ((known and not tracking.begun[other]) or all(tracking.begun)):
            return False
    tracking.tags[other] = tag
    return True
