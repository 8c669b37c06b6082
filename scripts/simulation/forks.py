"""Many runs from one booted cluster: each is a fork of the process that booted it, so that booting is paid for once.

What a fork does follows from its own seed alone, as the boot follows from BOOT_SEED: a run is the same whether it was
forked or not.
"""

import os
import selectors
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

import msgspec


class ForkFailed(Exception):
    """A run ended without a result; carries what it said."""


class _Fork[R]:
    """One run and the pipe that its result comes through."""

    def __init__(self, number: int, run: Callable[[int], R]) -> None:
        self.number = number
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reading)
            _work(number, run, writing)
        os.close(writing)
        self.received = b""


def _work[R](number: int, run: Callable[[int], R], writing: int) -> NoReturn:
    code = 1
    try:
        result = msgspec.json.encode(run(number))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(result)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # neither the cluster nor the test that forked is ended here


def forked[R](numbers: Iterator[int], run: Callable[[int], R], kind: type[R], jobs: int) -> Iterator[R]:
    """The results of `run`, each from a process of its own, `jobs` at a time, as they come. Raises ForkFailed."""
    selector = selectors.DefaultSelector()
    try:
        while True:
            while len(selector.get_map()) < jobs and (number := next(numbers, None)) is not None:
                fork = _Fork(number, run)
                selector.register(fork.reading, selectors.EVENT_READ, fork)
            if not selector.get_map():
                return
            for key, _ in selector.select():
                if (done := _read(selector, key.data)) is not None:
                    yield _result(done, kind)
    finally:
        for key in list(selector.get_map().values()):
            _end(key.data)
        selector.close()


def _read[R](selector: selectors.BaseSelector, fork: "_Fork[R]") -> "_Fork[R] | None":
    """The fork if it has said everything."""
    chunk = os.read(fork.reading, 1 << 16)
    if chunk:
        fork.received += chunk
        return None
    selector.unregister(fork.reading)
    os.close(fork.reading)
    os.waitpid(fork.pid, 0)
    return fork


def _result[R](fork: "_Fork[R]", kind: type[R]) -> R:
    try:
        return msgspec.json.decode(fork.received, type=kind)
    except msgspec.DecodeError:
        raise ForkFailed(f"run {fork.number} ended without a result") from None


def _end[R](fork: "_Fork[R]") -> None:
    os.close(fork.reading)
    os.kill(fork.pid, 9)
    os.waitpid(fork.pid, 0)
