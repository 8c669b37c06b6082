"""What a simulation cannot repeat raises while it runs: the machine's clock, its chance, threads and sockets."""

import os
import random
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Never

from podwire.services.chassis.simulation.loop import Forbidden

FORBIDDEN: Final[tuple[tuple[Any, str], ...]] = (
    (time, "time"),
    (time, "time_ns"),
    (time, "monotonic"),
    (time, "monotonic_ns"),
    (time, "perf_counter"),
    (time, "perf_counter_ns"),
    (time, "sleep"),
    (os, "urandom"),
    (random, "random"),
    (random, "randint"),
    (random, "randrange"),
    (random, "choice"),
    (random, "shuffle"),
    (random, "getrandbits"),
    (secrets, "token_hex"),
    (secrets, "token_bytes"),
    (secrets, "randbits"),
    (uuid, "uuid1"),
    (uuid, "uuid4"),
    (threading.Thread, "start"),
    (socket, "getaddrinfo"),
    (socket, "create_connection"),
)


def _refusal(owner: Any, name: str) -> Any:
    def refuse(*_: object, **__: object) -> Never:
        raise Forbidden(f"{getattr(owner, '__name__', owner)}.{name} is not for simulated code")

    return refuse


@contextmanager
def guarded() -> Iterator[None]:
    """Within the block the functions in FORBIDDEN raise Forbidden."""
    kept = [(owner, name, getattr(owner, name)) for owner, name in FORBIDDEN]
    for owner, name, _ in kept:
        setattr(owner, name, _refusal(owner, name))
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
