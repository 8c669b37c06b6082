"""agnhost logs-generator (logs_generator.go): lines like an API server's, evenly over a time."""

import asyncio
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.images.agnhost.go import BadDuration, parse_duration
from podwire.services.node.images.agnhost.options import number, read_options
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError
from podwire.services.node.programs.calendar import format_date

_METHODS: Final = ("GET", "POST", "PUT")
_NAMESPACES: Final = ("kube-system", "default", "ns")
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_SHORT: Final = {"-t": "--log-lines-total", "-d": "--run-duration"}


async def logs_generator(process: Process) -> int:
    """logs-generator --log-lines-total N --run-duration 10s"""
    words = [_SHORT.get(word, word) for word in process.arguments[1:]]
    options = read_options(words, {"log-lines-total": "0", "run-duration": "0"})
    lines = number(options, "log-lines-total", most=10**9)
    try:
        length = parse_duration(options.value("run-duration"))
    except BadDuration as error:
        raise UsageError(str(error)) from None
    if not lines or not length:
        await process.complain(f"Invalid total number of lines: {lines}" if not lines else "Invalid duration: 0s")
        return 255
    for each in range(lines):
        head = format_date("I%m%d %H:%M:%S.%N", process.clock.now_ns())[:-3]
        await process.complain(f"{head}       1 logs_generator.go:76] {_line(process, each)}")
        await asyncio.sleep(length / lines / SECOND)
    return 0


def _line(process: Process, number_of: int) -> str:
    def pick(count: int) -> int:
        return process.random.getrandbits(32) % count

    name = "".join(_LETTERS[pick(len(_LETTERS))] for _ in range(3 + pick(2)))
    method, namespace = _METHODS[pick(3)], _NAMESPACES[pick(3)]
    return f"{number_of} {method} /api/v1/namespaces/{namespace}/pods/{name} {200 + pick(400)}"
