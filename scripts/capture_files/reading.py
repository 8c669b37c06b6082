"""Reading a capture file of either format."""

from collections.abc import Iterator

from podwire.scripts.capture_files.pcap import is_pcap, read_pcap
from podwire.scripts.capture_files.pcapng import is_pcapng, read_pcapng
from podwire.scripts.capture_files.recorded import CaptureFileError, RecordedPacket


def read_packets(data: bytes) -> Iterator[RecordedPacket]:
    """The packets of a pcap or pcapng file. Raises CaptureFileError for other bytes, and where a file lies."""
    if is_pcap(data):
        return read_pcap(data)
    if is_pcapng(data):
        return read_pcapng(data)
    raise CaptureFileError(f"neither pcap nor pcapng: it begins with {data[:4].hex() or 'nothing'}")
