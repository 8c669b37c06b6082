"""Byte streams between programs: bounded, in order, and ended from either side."""

import asyncio

import pytest

from podwire.services.node.pipes import CAPACITY, BrokenPipe, NewlineWriter, Pipe, read_all


async def test_bytes_come_out_in_order_and_then_the_end() -> None:
    pipe = Pipe()
    await pipe.write(b"one ")
    await pipe.write(b"two")
    pipe.close()
    assert (await pipe.read(3), await read_all(pipe), await pipe.read()) == (b"one", b" two", b"")


async def test_a_writer_waits_while_the_pipe_is_full() -> None:
    pipe = Pipe()
    writing = asyncio.get_running_loop().create_task(pipe.write(bytes(2 * CAPACITY)))
    await asyncio.sleep(0)
    assert not writing.done()
    assert len(await pipe.read(CAPACITY)) == CAPACITY
    await writing
    assert len(await pipe.read(CAPACITY)) == CAPACITY


async def test_a_writer_without_reader_gets_a_broken_pipe() -> None:
    pipe = Pipe()
    writing = asyncio.get_running_loop().create_task(pipe.write(bytes(2 * CAPACITY)))
    await asyncio.sleep(0)
    pipe.abandon()
    with pytest.raises(BrokenPipe):
        await writing
    with pytest.raises(BrokenPipe):
        await pipe.write(b"x")


@pytest.mark.parametrize(("written", "shown"), [(b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\n", b"a\r\n"), (b"\n", b"\r\n")])
async def test_a_terminal_returns_to_the_line_s_start(written: bytes, shown: bytes) -> None:
    pipe = Pipe()
    await NewlineWriter(pipe).write(written)
    pipe.close()
    assert await read_all(pipe) == shown
