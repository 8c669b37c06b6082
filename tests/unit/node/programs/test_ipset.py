"""ipset: a long session as the real tool and kernel answer it, and the same session with them where they are found.

ipset_session.txt was recorded with ipset 7.17; members are in the order of the kernel's hash table.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from surroundings import Machine

from podwire.services.node.machine import Machine as RealMachine
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.programs.toolboxes import HOST

SESSIONS = [Path(__file__).with_name(name) for name in ("ipset_session.txt", "ipset_refusals.txt")]


def lines_of(session: Path) -> list[str]:
    return [line.removeprefix("$ ") for line in session.read_text().splitlines() if line.startswith("$ ")]


def play(lines: list[str]) -> str:
    """What our program says to each line, and its exit codes."""

    async def scene(machine: Machine) -> str:
        said = ""
        for line in lines:
            out = bytearray()
            process = machine.process(shlex.split(line), BytesReader(b""), out, out, "")
            process.machine = RealMachine.__new__(RealMachine)
            code = await HOST["ipset"](process)
            said += f"$ {line}\n{out.decode()}rc={code}\n"
        return said

    said: str = Machine().play(scene)
    return said


@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_a_session(session: Path) -> None:
    assert play(lines_of(session)) == session.read_text()


def without_time(text: str) -> str:
    """Seconds may pass while the real tool runs."""
    return re.sub(r"timeout \d+", "timeout N", text)


def real(lines: list[str]) -> str:
    script = "\n".join(f"echo {shlex.quote('$ ' + line)}; {line} 2>&1; echo rc=$?" for line in lines)
    command = ["unshare", "-n", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False).stdout


def available() -> bool:
    if not shutil.which("ipset") or not shutil.which("unshare"):
        return False
    probe = ["unshare", "-n", "sh", "-c", "ipset create probe hash:ip,port && ipset version"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "v7.17" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="needs ipset 7.17, its kernel modules and the right to make a namespace")
@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_the_real_tool_says_the_same(session: Path) -> None:
    assert without_time(real(lines_of(session))) == without_time(session.read_text())
