"""SPDY/3.1: frames to bytes and back, in pieces of any size; any bytes lead to frames or to the one error.

The oracle for header compression is what kubectl 1.27 sent for `exec -i web -- cat` with "hello" on standard input.
"""

import base64
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.apiserver.core.spdy import frames
from podwire.services.apiserver.core.spdy.connection import (
    MOST_STREAMS,
    Connection,
    DataReceived,
    Event,
    GoneAway,
    StreamEnded,
    StreamOpened,
    StreamReset,
)
from podwire.services.apiserver.core.spdy.dictionary import DICTIONARY
from podwire.services.apiserver.core.spdy.errors import ProtocolError
from podwire.services.apiserver.core.spdy.frames import (
    Data,
    Frame,
    FrameWriter,
    GoAway,
    Ping,
    RstStream,
    Settings,
    StreamHeaders,
    SynReply,
    SynStream,
    WindowUpdate,
)
from podwire.services.apiserver.core.spdy.headers import LARGEST_BLOCK
from podwire.services.apiserver.core.spdy.reader import FrameReader

KUBECTL = base64.b64decode(
    "gAMAAQAAACkAAAABAAAAAAAAePnjxqfCYmBgYASns5Ki1MRcaFHCmgoKaAAAAAD//4ADAAEAAAAXAAAAAwAAAAAAAMIuVVySkpkHAAAA//+AAwAB"
    "AAAAGQAAAAUAAAAAAADCKsVWXJKSX1oCAAAA//+AAwABAAAAFQAAAAcAAAAAAADCKZdaVAQAAAD//wAAAAMAAAAGaGVsbG8KAAAAAwEAAAA="
)
NUMBER = st.integers(1, 2**31 - 1)
NAME = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
HEADERS = st.dictionaries(NAME, st.text(max_size=30), max_size=6)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(SynStream, NUMBER, HEADERS, st.booleans(), st.booleans(), NUMBER, st.integers(0, 7)),
    st.builds(SynReply, NUMBER, HEADERS, st.booleans()),
    st.builds(StreamHeaders, NUMBER, HEADERS, st.booleans()),
    st.builds(RstStream, NUMBER, st.integers(1, 11)),
    st.builds(Settings, st.lists(st.tuples(*[st.integers(0, 255)] * 3), max_size=4).map(tuple)),
    st.builds(Ping, NUMBER),
    st.builds(GoAway, NUMBER, st.integers(0, 2)),
    st.builds(WindowUpdate, NUMBER, NUMBER),
    st.builds(Data, NUMBER, st.binary(max_size=300), st.booleans()),
)


def written(*given: Frame) -> bytes:
    writer = FrameWriter()
    return b"".join(writer.encode(frame) for frame in given)


def pieces_of(data: bytes, size: int) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def joined(found: Iterable[Frame]) -> list[Frame]:
    """Pieces of data of one stream put together, as far as they are neighbours."""
    together: list[Frame] = []
    for frame in found:
        last = together[-1] if together else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream == frame.stream and not last.fin:
            together[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            together.append(frame)
    return together


def test_the_dictionary_is_the_one_that_zlib_streams_of_spdy_3_name() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_what_kubectl_sends() -> None:
    assert FrameReader().feed(KUBECTL) == [
        SynStream(1, {"streamtype": "error"}),
        SynStream(3, {"streamtype": "stdin"}),
        SynStream(5, {"streamtype": "stdout"}),
        SynStream(7, {"streamtype": "stderr"}),
        Data(3, b"hello\n"),
        Data(3, b"", fin=True),
    ]


@given(st.lists(FRAMES, max_size=8), st.integers(1, 200))
def test_frames_come_back_in_pieces_of_any_size(given_frames: list[Frame], size: int) -> None:
    reader = FrameReader()
    found = [frame for piece in pieces_of(written(*given_frames), size) for frame in reader.feed(piece)]
    assert joined(found) == joined(given_frames)


@given(st.lists(FRAMES, min_size=1, max_size=5), st.data())
def test_what_is_cut_off_leads_to_the_frames_before_it_and_no_error(
    given_frames: list[Frame], data: st.DataObject
) -> None:
    whole = written(*given_frames)
    found = FrameReader().feed(whole[: data.draw(st.integers(0, len(whole) - 1))])
    complete = [frame for frame in found if not isinstance(frame, Data)]
    assert complete == [frame for frame in given_frames if not isinstance(frame, Data)][: len(complete)]


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    try:
        FrameReader().feed(data)
    except ProtocolError:
        pass


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_one_wrong_byte_is_survived(given_frames: list[Frame], data: st.DataObject) -> None:
    damaged = bytearray(written(*given_frames))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    connection = Connection()
    try:
        connection.receive(bytes(damaged))
    except ProtocolError:
        pass


def block(data: bytes) -> bytes:
    """A SYN_STREAM whose header block inflates to these bytes."""
    stream = zlib.compressobj(zdict=DICTIONARY)
    payload = bytes([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    return b"\x80\x03\x00\x01\x00" + len(payload).to_bytes(3) + payload


def counted(*texts: bytes) -> bytes:
    return b"".join(len(text).to_bytes(4) + text for text in texts)


LIES = {
    "another version": (b"\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", "SPDY version 2"),
    "an unknown frame": (b"\x80\x03\x00\x0b\x00\x00\x00\x00", "unknown type 11"),
    "a control frame of 16 MiB": (b"\x80\x03\x00\x01\x00\xff\xff\xff", "of 16777215 bytes"),
    "a PING that is too long": (b"\x80\x03\x00\x06\x00\x00\x00\x05", "of 5 bytes: it has 4"),
    "a SYN_STREAM that is too short": (b"\x80\x03\x00\x01\x00\x00\x00\x09", "of 9 bytes: 10 to"),
    "SETTINGS that count wrongly": (b"\x80\x03\x00\x04\x00\x00\x00\x04\xff\xff\xff\xff", "has 4294967295 entries"),
    "data of stream 0": (b"\x00\x00\x00\x00\x00\x00\x00\x01", "data frame of stream 0"),
    "a reset of stream 0": (b"\x80\x03\x00\x03\x00\x00\x00\x08" + bytes(7) + b"\x01", "control frame 3 of stream 0"),
    "no zlib stream": (b"\x80\x03\x00\x01\x00\x00\x00\x0e" + bytes(3) + b"\x01" + bytes(6) + b"abcd", "header block: "),
    "a bomb": (block(bytes(LARGEST_BLOCK + 1)), f"more than {LARGEST_BLOCK} bytes"),
    "more headers than there are": (block(b"\0\0\0\2" + counted(b"a", b"b")), "ends within a length"),
    "4 billion headers": (block(b"\xff\xff\xff\xff"), "4294967295 headers"),
    "a header longer than its block": (block(b"\0\0\0\1\x7f\xff\xff\xff"), "reaches beyond its end"),
    "bytes after the headers": (block(b"\0\0\0\0x"), "1 bytes follow"),
    "a name twice": (block(b"\0\0\0\2" + counted(b"a", b"", b"a", b"")), "repeated"),
    "an upper-case name": (block(b"\0\0\0\1" + counted(b"A", b"")), "not lower case"),
}


@pytest.mark.parametrize("lie", LIES)
def test_frames_that_lie(lie: str) -> None:
    data, text = LIES[lie]
    with pytest.raises(ProtocolError, match=text):
        FrameReader().feed(data)


class Client:
    """The other side of a connection: frames go in, events and frames come out."""

    def __init__(self) -> None:
        self.connection = Connection()
        self._writer, self._reader = FrameWriter(), FrameReader()

    def say(self, *given_frames: Frame) -> list[Event]:
        return self.connection.receive(b"".join(self._writer.encode(frame) for frame in given_frames))

    def heard(self) -> list[Frame]:
        return self._reader.feed(self.connection.take())


def test_a_conversation() -> None:
    client = Client()
    assert client.say(SynStream(1, {"a": "b"})) == [StreamOpened(1, {"a": "b"})]
    client.connection.accept(1)
    assert client.heard() == [SynReply(1)]
    assert client.say(Data(1, b"in"), Data(1, b"", fin=True)) == [DataReceived(1, b"in"), StreamEnded(1)]
    client.connection.send(1, b"out")
    client.connection.finish(1)
    client.connection.send(1, b"too late")
    assert client.heard() == [Data(1, b"out"), Data(1, b"", fin=True)]
    assert client.say(Data(1, b"nobody listens")) == []
    assert client.say(SynStream(3, fin=True)) == [StreamOpened(3, {}), StreamEnded(3)]
    assert client.say(RstStream(3, frames.CANCEL), RstStream(3, frames.CANCEL)) == [StreamReset(3)]
    assert client.say(Ping(1), Ping(2), Settings(), WindowUpdate(1, 9), SynReply(9)) == []
    assert client.heard() == [Ping(1)]
    client.connection.ping()
    client.connection.ping()
    assert client.heard() == [Ping(2), Ping(4)]
    assert client.say(GoAway(0)) == [GoneAway()]
    client.connection.go_away()
    client.connection.go_away()
    assert client.heard() == [GoAway(3)]
    assert (client.say(SynStream(5)), client.heard()) == ([], [])


@pytest.mark.parametrize("stream", [2, 1, 3])
def test_stream_ids_are_odd_and_grow(stream: int) -> None:
    client = Client()
    client.say(SynStream(3))
    assert client.say(SynStream(stream)) == []
    assert client.heard() == [RstStream(stream, frames.PROTOCOL_ERROR)]


def test_a_flood_of_streams_is_refused_and_room_is_made_by_those_that_end() -> None:
    client = Client()
    ids = [2 * index + 1 for index in range(MOST_STREAMS + 1)]
    events = client.say(*(SynStream(stream) for stream in ids))
    assert len(events) == MOST_STREAMS
    assert client.heard() == [RstStream(ids[-1], frames.REFUSED_STREAM)]
    client.connection.reset(1)
    assert client.say(SynStream(ids[-1] + 2)) == [StreamOpened(ids[-1] + 2, {})]


def test_data_is_passed_on_before_its_frame_is_complete() -> None:
    reader = FrameReader()
    assert reader.feed(b"\0\0\0\1\1\xff\xff\xffab") == [Data(1, b"ab")]
    assert reader.feed(b"cd") == [Data(1, b"cd")]
    rest = reader.feed(bytes(frames.LARGEST_DATA - 4))
    assert rest == [Data(1, bytes(frames.LARGEST_DATA - 4), fin=True)]
