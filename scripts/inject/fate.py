"""What became of one packet, read off its hops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from podwire.proto.messages.machine import RawPacket
from podwire.proto.messages.telemetry import Hop
from podwire.proto.packet.summary import summarize_frame, summarize_packet
from podwire.scripts.trace.advice import advice
from podwire.scripts.trace.flights import Flight, flights

type Kind = Literal["delivered", "dropped", "refused", "lost"]
_ENDS: Final = ("socket", "drop")


@dataclass(frozen=True, slots=True)
class Answer:
    """A packet that came back because of it, and where it got to ("" while it is under way)."""

    summary: str
    place: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happened: `delivered` to a socket (or the kernel's own ICMP), `dropped` for a `reason` of Linux's
    enum skb_drop_reason, `refused` by the kernel before it was sent, or `lost`: seen last at `place`."""

    kind: Kind
    summary: str = ""
    place: str = ""
    detail: str = ""
    reason: str = ""
    advice: str = ""
    answers: tuple[Answer, ...] = ()
    hops: tuple[Hop, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether anything came back to where the packet came from."""
        return bool(self.answers)


def is_settled(hops: Sequence[Hop]) -> bool:
    """Whether the packet has come to an end, so that only answers can follow."""
    return any(hop.kind in _ENDS for hop in hops)


def refused(error: str, packet: RawPacket) -> Fate:
    """The kernel did not take it."""
    summarize = summarize_packet if packet.link == "ip" else summarize_frame
    reason = error.partition(":")[0]
    return Fate("refused", summarize(packet.data), "", error, reason, _REFUSALS.get(reason, ""))


_REFUSALS: Final = {
    "ENETUNREACH": "the source has no route to this address (from outside: --via NODE names a router)",
    "EMSGSIZE": "a raw socket does not fragment: make the payload smaller",
    "EINVAL": "the header of the packet is not whole: a raw socket needs one that is",
    "ENODEV": "--device names the device to leave through: ip link in the source's namespace lists them",
}


def fate(hops: Sequence[Hop]) -> Fate:
    """What the hops of one packet's trace say."""
    found = flights(hops)
    if not found:
        return Fate("lost", detail="no hop was told of it: is its machine up, and its bus?")
    forth = [flight for flight in found if not flight.is_reply and not flight.is_control]
    way = [hop for flight in forth or found[:1] for hop in flight.hops]
    answers = tuple(_answer(flight) for flight in found if flight.is_reply and not flight.is_control)
    summary, last = found[0].summary, way[-1]
    ending = next((hop for hop in reversed(way) if hop.kind in _ENDS), None)
    if ending is None:
        return Fate("lost", summary, place(last), _last_seen(last), answers=answers, hops=tuple(hops))
    if ending.kind == "drop":
        why = advice(ending)
        detail = ending.rule_text or ending.detail
        return Fate("dropped", summary, place(ending), detail, ending.reason, why, answers, tuple(hops))
    return Fate("delivered", summary, place(ending), ending.detail, answers=answers, hops=tuple(hops))


def _answer(flight: Flight) -> Answer:
    last = flight.hops[-1]
    return Answer(flight.summary, place(last), flight.died.reason if flight.died is not None else "")


def _last_seen(hop: Hop) -> str:
    what = f"{hop.kind} {hop.device}".rstrip() + (f": {hop.detail}" if hop.detail else "")
    if hop.kind == "device-transmit":
        return f"left through {hop.device}; nobody with that MAC took it"
    return f"last seen at {what}"


def place(hop: Hop) -> str:
    """Where a hop is: the machine, with the pod if it is in one's namespace."""
    return f"{hop.node} {hop.netns or 'host'}"
