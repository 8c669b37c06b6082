"""Packets to send again from a capture file. Nothing in it is believed: the kernel sees the bytes that are there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from podwire.proto.messages.machine import RawPacket
from podwire.scripts.capture_files.reading import read_packets
from podwire.scripts.capture_files.recorded import ETHERNET, IPV4, IPV6, RAW, CaptureFileError, RecordedPacket
from podwire.scripts.errors import UserError
from podwire.scripts.inject.recipe import MOST

LARGEST_FILE: Final = 256 * 1024 * 1024
_NAMES: Final = {ETHERNET: "Ethernet", RAW: "raw IP", IPV4: "IPv4", IPV6: "IPv6"}


def read_file(name: str) -> bytes:
    """A file's bytes. Raises UserError."""
    path = Path(name)
    try:
        if not path.is_file():
            raise UserError(f"--pcap {name}: there is no such file")
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise UserError(f"--pcap {name}: {size} bytes; at most {LARGEST_FILE} can be replayed")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"--pcap {name}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"--pcap {name!r}: {error}") from None


def replayed(data: bytes, name: str) -> Iterator[RawPacket]:
    """The packets of a capture file as they are to be sent. Raises UserError for what is none, and for too many."""
    try:
        for number, packet in enumerate(read_packets(data), 1):
            if number > MOST:
                raise UserError(f"--pcap {name}: more than {MOST} packets; at most that many can be replayed at once")
            yield _to_send(packet, number, name)
    except CaptureFileError as error:
        raise UserError(f"--pcap {name}: {error}") from None


def _to_send(packet: RecordedPacket, number: int, name: str) -> RawPacket:
    if packet.link_type == ETHERNET:
        return RawPacket(data=packet.data, link="ethernet")
    if packet.link_type in (RAW, IPV4, IPV6):
        return RawPacket(data=packet.data)
    kinds = ", ".join(f"{kind} ({link})" for link, kind in _NAMES.items())
    raise UserError(f"--pcap {name}: packet {number} has link type {packet.link_type}; {kinds} can be replayed")
