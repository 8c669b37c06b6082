"""ipvsadm: tables and refusals as the real tool gives them, and what it does to the kernel.

ipvsadm_tables.txt and ipvsadm_refusals.txt were recorded with ipvsadm 1.31 on a machine whose kernel answered what
`table` builds here.
"""

import shlex
from pathlib import Path

import pytest
from surroundings import Machine, Result

from podwire.services.node.kernel.ipvs.statistics import Statistics
from podwire.services.node.machine import Machine as RealMachine
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.programs.toolboxes import HOST

HERE = Path(__file__).parent
TABLE = """
-A -t 10.96.0.7:80 -s rr
-a -t 10.96.0.7:80 -r 10.244.1.6:8080 -m -w 2 -x 9 -y 8
-a -t 10.96.0.7:80 -r 10.244.2.3:8080 -m -x 9 -y 8
-A -u 10.96.0.7:53 -s wlc -o
-a -u 10.96.0.7:53 -r 10.244.2.3:8080 -m -w 1 -x 9 -y 8
-A -t 10.96.0.7:443 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port
-a -t 10.96.0.7:443 -r 10.244.2.3:8080 -m -w 1 -x 9 -y 8
-A --sctp-service 10.96.0.7:38412 -s mh
-a --sctp-service 10.96.0.7:38412 -r 10.244.2.3:8080 -m -w 1 -x 9 -y 8
-A -f 7 -s wrr -p 10800
-a -f 7 -r 10.244.2.3 -m -w 1 -x 9 -y 8
"""


def session(name: str) -> list[tuple[str, str]]:
    """Command lines and what is said to them, the exit code in the last line."""
    blocks = HERE.joinpath(name).read_text().split("$ ipvsadm")[1:]
    return [(block.partition("\n")[0].strip(), block.partition("\n")[2]) for block in blocks]


async def call(machine: Machine, line: str, stdin: bytes = b"", *, allowed: bool = True) -> Result:
    out, err = bytearray(), bytearray()
    process = machine.process(["ipvsadm", *shlex.split(line)], BytesReader(stdin), out, err, "")
    process.machine = RealMachine.__new__(RealMachine) if allowed else None
    code = await HOST["ipvsadm"](process)
    return Result(code, out.decode(), err.decode())


def rates(statistics: Statistics, *per_second: int) -> None:
    """Let the estimates be what they would be after long at these rates."""
    scaled = [rate << 10 for rate in per_second[:3]] + [rate << 5 for rate in per_second[3:]]
    statistics._rates = scaled  # nothing else sets them at once


async def table(machine: Machine) -> None:
    """The services of the recording, with its counters."""
    for line in TABLE.strip().splitlines():
        result = await call(machine, line)
        assert (result.code, result.err) == (0, ""), line
    for service in machine.kernel.root.ipvs.services.values():
        first = service.key.port == 80
        counts = (123456789, 40, 50, 12345678901234, 123456789012) if first else (3, 40, 50, 6000, 7000)
        names = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")
        for name, count in zip(names, counts, strict=True):
            setattr(service.statistics, name, count)
        rates(service.statistics, 1, 2, 3, 4, 500000000)
        for server in service.destinations:
            server.active, server.inactive, server.persistent = 2, 3, 4
            server.statistics.connections, server.statistics.in_packets = 1, 2
            server.statistics.in_bytes = 100000000
            rates(server.statistics, 5, 0, 0, 6, 0)


@pytest.mark.parametrize(("line", "expected"), session("ipvsadm_tables.txt"))
def test_the_tables(line: str, expected: str) -> None:
    async def scene(machine: Machine) -> str:
        await table(machine)
        result = await call(machine, line)
        return f"{result.out}{result.err}rc={result.code}\n"

    assert Machine().play(scene) == expected


@pytest.mark.parametrize(("line", "expected"), session("ipvsadm_refusals.txt"))
def test_the_refusals(line: str, expected: str) -> None:
    async def scene(machine: Machine) -> str:
        result = await call(machine, line)
        return f"{result.out}{result.err}rc={result.code}\n"

    assert Machine(files={"/etc/resolv.conf": b"", "/etc/hosts": b""}).play(scene) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-A -t 10.96.0.7:80", "Service already exists"),
        ("-A -t 10.96.0.7:81 -s fastest", "Scheduler or persistence engine not found"),
        ("-E -t 10.96.0.7:81", "No such service"),
        ("-D -t 10.96.0.7:81", "No such service"),
        ("-Z -t 10.96.0.7:81", "No such service"),
        ("-a -t 10.96.0.7:81 -r 10.244.1.6 -m", "Service not defined"),
        ("-a -t 10.96.0.7:80 -r 10.244.1.6:8080 -m", "Destination already exists"),
        ("-e -t 10.96.0.7:80 -r 10.244.1.7:8080 -m", "No such destination"),
        ("-d -t 10.96.0.7:80 -r 10.244.1.7:8080", "No such destination"),
        ("-a -t 10.96.0.7:80 -r 10.244.1.9 -m -x 1 -y 2", "Numerical result out of range"),
    ],
)
def test_what_the_kernel_refuses(line: str, said: str) -> None:
    async def scene(machine: Machine) -> Result:
        await table(machine)
        return await call(machine, line)

    result: Result = Machine().play(scene)
    assert (result.code, result.out, result.err) == (255, "", f"{said}\n")


def test_what_is_saved_is_restored() -> None:
    async def scene(machine: Machine) -> tuple[str, str, str]:
        await table(machine)
        saved = (await call(machine, "-Sn")).out
        await call(machine, "-C")
        empty = (await call(machine, "-Sn")).out
        result = await call(machine, "-R", saved.encode())
        assert (result.code, result.err) == (0, "")
        return saved, empty, (await call(machine, "-Sn")).out

    saved, empty, again = Machine().play(scene)
    assert saved == again
    assert empty == ""


def test_ipv6_services_are_written_in_brackets() -> None:
    lines = [
        "-A -t [fd96::7]:80 -s rr -p 60 -M 64",
        "-a -t [fd96::7]:80 -r [fd00::1]:8080 -m -w 1",
        "-A -f 9 -6 -s wlc",
    ]

    async def scene(machine: Machine) -> list[str]:
        for line in lines:
            result = await call(machine, line)
            assert (result.code, result.err) == (0, ""), line
        mixed = await call(machine, "-a -t [fd96::7]:80 -r 10.0.0.1:80 -m")
        early = await call(machine, "-A -6 -f 9")
        return [*(await call(machine, "-Sn")).out.splitlines(), mixed.err, early.err]

    assert Machine().play(scene) == [
        *lines,
        "Different address family is allowed only for tunneling servers\n",
        "-6 used before -f\n\n",
    ]


def test_editing_deleting_and_timeouts() -> None:
    async def scene(machine: Machine) -> list[str]:
        await table(machine)
        for line in (
            "-E -t 10.96.0.7:80 -s wlc -p 60",
            "-e -t 10.96.0.7:80 -r 10.244.1.6:8080 -m -w 0",
            "-d -t 10.96.0.7:80 -r 10.244.2.3:8080",
            "--set 10 0 30",
            "-Z",
        ):
            assert (await call(machine, line)).code == 0, line
        lines = (await call(machine, "-Ln -t 10.96.0.7:80")).out.splitlines()[2:]
        return [*lines, (await call(machine, "-L --timeout")).out]

    assert Machine().play(scene) == [
        "TCP  10.96.0.7:80 wlc persistent 60",
        "  -> 10.244.1.6:8080              Masq    0      2          3         ",
        "Timeout (tcp tcpfin udp): 10 120 30\n",
    ]


def test_a_container_may_not_and_other_ways_of_forwarding_are_not_built() -> None:
    async def scene(machine: Machine) -> tuple[Result, Result]:
        await call(machine, "-A -t 1.2.3.4:80")
        return await call(machine, "-L", allowed=False), await call(machine, "-a -t 1.2.3.4:80 -r 1.1.1.1")

    refused, unbuilt = Machine().play(scene)
    assert refused.code == 2
    assert refused.err.startswith("Can't initialize ipvs: Permission denied (you must be root)\n")
    assert unbuilt.err == (
        "forwarding method gatewaying (-g, the default) is not built in podwire: masquerading (-m) is\n"
    )
