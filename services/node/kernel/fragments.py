"""Cutting IP packets and putting them together again (RFC 791, RFC 815, RFC 8200 section 4.5), within bounds.

Overlapping fragments discard the whole packet, as Linux does since CVE-2018-5391 (IPv6: RFC 5722).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.checksum import internet_checksum
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.proto.packet.ipv4 import DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET_MASK
from podwire.proto.packet.ipv6 import FRAGMENT, FRAGMENT_HEADER, build_fragment_header, find_upper
from podwire.services.node.kernel import unreachable
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.timers import Timer

TIMEOUT: Final = 30_000_000_000
TIMEOUT6: Final = 60_000_000_000
QUEUE_LIMIT: Final = 256
PIECE_LIMIT: Final = 128

type Key = tuple[int, int, int, int]


class FragmentQueue:
    """The pieces of one packet so far, by offset."""

    __slots__ = ("first", "largest", "largest_uncuttable", "pieces", "timer", "total")

    def __init__(self, timer: "Timer") -> None:
        self.pieces: dict[int, bytes] = {}
        self.first: Packet | None = None
        self.total: int | None = None
        self.largest = self.largest_uncuttable = 0
        """Bytes of the largest packet that came, and of the largest with don't fragment set."""
        self.timer = timer


def split(packet: Packet, mtu: int) -> Iterator[Packet]:
    """Fragments of an IPv4 packet that fit `mtu`, each with its own header; they keep don't fragment."""
    header, payload = bytes(packet.data[: packet.header_length]), bytes(packet.payload)
    step = (mtu - len(header)) // 8 * 8
    base = packet.fragment & OFFSET_MASK
    more_after = packet.fragment & MORE_FRAGMENTS
    for at in range(0, len(payload), max(step, 8)):
        piece = payload[at : at + max(step, 8)]
        last = at + len(piece) >= len(payload)
        word = packet.fragment & DONT_FRAGMENT | (base + at // 8) | (more_after if last else MORE_FRAGMENTS)
        twin = packet.copy()
        twin.data = bytearray(header) + piece
        _rewrite(twin, word)
        yield twin


def _rewrite(packet: Packet, word: int) -> None:
    data = packet.data
    data[2:4] = len(data).to_bytes(2)
    data[6:8] = word.to_bytes(2)
    data[10:12] = b"\0\0"
    data[10:12] = internet_checksum(data[: packet.header_length]).to_bytes(2)
    packet.fragment = word
    packet.parse_ports()


def split6(packet: Packet, mtu: int, identification: int) -> Iterator[Packet]:
    """Fragments of an IPv6 packet of this host, or of one that was put together here."""
    head = bytearray(packet.data[: packet.header_length])
    upper = find_upper(head)
    head[upper.next_header_at] = FRAGMENT
    payload = bytes(packet.payload)
    step = max((mtu - len(head) - FRAGMENT_HEADER) // 8 * 8, 8)
    for at in range(0, len(payload), step):
        piece = payload[at : at + step]
        word = at // 8 | (MORE_FRAGMENTS if at + step < len(payload) else 0)
        twin = packet.copy()
        twin.data = head + build_fragment_header(packet.protocol, word, identification) + piece
        twin.data[4:6] = (len(twin.data) - 40).to_bytes(2)
        twin.fragment, twin.header_length = word, len(head) + FRAGMENT_HEADER
        twin.parse_ports()
        yield twin


def split_any(namespace: "Namespace", packet: Packet, mtu: int) -> Iterator[Packet]:
    """Fragments of a packet of either family."""
    if packet.ethertype == TYPE_IPV6:
        return split6(packet, mtu, namespace.next_identification())
    return split(packet, mtu)


def reassemble(namespace: "Namespace", packet: Packet) -> Packet | None:
    """Take in a fragment; the whole packet once nothing is missing, else None."""
    packet.recording = None
    key = (packet.source, packet.destination, packet.protocol, _identification(packet))
    queue = namespace.fragments.get(key) or _open(namespace, packet, key)
    if queue is None:
        return None
    if not _insert(namespace, queue, packet):
        _close(namespace, key)
        return None
    if queue.total is None or sum(map(len, queue.pieces.values())) < queue.total or queue.first is None:
        return None
    return _join(namespace, key, queue, queue.first)


def _identification(packet: Packet) -> int:
    if packet.ethertype == TYPE_IPV6:
        return find_upper(packet.data).identification
    return int.from_bytes(packet.data[4:6])


def _open(namespace: "Namespace", packet: Packet, key: Key) -> FragmentQueue | None:
    if len(namespace.fragments) >= QUEUE_LIMIT:
        namespace.kernel.drop(packet, namespace, DropReason.NOMEM, "too many packets in pieces")
        return None
    timer = namespace.kernel.timer(lambda: _expire(namespace, key))
    timer.set(namespace.kernel.now + (TIMEOUT6 if packet.ethertype == TYPE_IPV6 else TIMEOUT))
    queue = namespace.fragments[key] = FragmentQueue(timer)
    return queue


def _close(namespace: "Namespace", key: Key) -> None:
    namespace.fragments.pop(key).timer.cancel()


def _expire(namespace: "Namespace", key: Key) -> None:
    queue = namespace.fragments.pop(key, None)
    if queue is not None and queue.first is not None:
        namespace.kernel.drop(queue.first, namespace, DropReason.FRAG_REASM_TIMEOUT, "fragments missing")
        unreachable.reassembly_timed_out(namespace, queue.first)


def _insert(namespace: "Namespace", queue: FragmentQueue, packet: Packet) -> bool:
    start = (packet.fragment & OFFSET_MASK) * 8
    piece = bytes(packet.payload)
    more = bool(packet.fragment & MORE_FRAGMENTS)
    end = start + len(piece)
    bad = end > 65515 or (more and len(piece) % 8 != 0) or not piece
    beyond = queue.total is not None and (end > queue.total or (not more and end != queue.total))
    if bad or beyond or len(queue.pieces) >= PIECE_LIMIT:
        namespace.kernel.drop(packet, namespace, DropReason.FRAG_TOO_FAR, "bad fragment")
        return False
    if any(start < at + len(other) and at < end for at, other in queue.pieces.items()):
        namespace.kernel.drop(packet, namespace, DropReason.DUP_FRAG, "overlapping fragment")
        return False
    queue.pieces[start] = piece
    queue.largest = max(queue.largest, len(packet.data))
    if packet.fragment & DONT_FRAGMENT:
        queue.largest_uncuttable = max(queue.largest_uncuttable, len(packet.data))
    if start == 0:
        queue.first = packet
    if not more:
        queue.total = end
    return True


def _join(namespace: "Namespace", key: Key, queue: FragmentQueue, first: Packet) -> Packet:
    _close(namespace, key)
    payload = b"".join(piece for _, piece in sorted(queue.pieces.items()))
    first.reassembled, first.largest_fragment = True, queue.largest
    if first.ethertype == TYPE_IPV6:
        return _join6(first, payload)
    first.data = first.data[: first.header_length] + payload
    _rewrite(first, DONT_FRAGMENT if queue.largest_uncuttable == queue.largest else 0)
    return first


def _join6(first: Packet, payload: bytes) -> Packet:
    """The packet without its fragment header."""
    upper = find_upper(first.data)
    head = first.data[: upper.fragment_at]
    head[upper.next_header_at] = first.data[upper.fragment_at]
    first.data = head + first.data[upper.fragment_at + FRAGMENT_HEADER : first.header_length] + payload
    first.data[4:6] = (len(first.data) - 40).to_bytes(2)
    first.header_length -= FRAGMENT_HEADER
    first.fragment = 0
    first.parse_ports()
    return first
