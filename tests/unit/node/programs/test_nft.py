"""nft: a long session as the real tool and kernel answer it, and the same session with them where they are found.

nft_session.txt was recorded with nftables 1.0.6 and a kernel 6.18.
"""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from surroundings import Machine

from podwire.services.node.machine import Machine as RealMachine
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.programs.toolboxes import HOST

SESSION = Path(__file__).with_name("nft_session.txt").read_text()
LINES = [line.removeprefix("$ ") for line in SESSION.splitlines() if line.startswith("$ ")]


def play(lines: list[str]) -> str:
    """What our program says to each line, and its exit codes."""

    async def scene(machine: Machine) -> str:
        said = ""
        for line in lines:
            out = bytearray()
            process = machine.process(shlex.split(line), BytesReader(b""), out, out, "")
            process.machine = RealMachine.__new__(RealMachine)
            code = await HOST["nft"](process)
            said += f"$ {line}\n{out.decode()}rc={code}\n"
        return said

    said: str = Machine().play(scene)
    return said


def test_a_session() -> None:
    assert play(LINES) == SESSION


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("nft") or not shutil.which("unshare"), reason="nft is not installed")
def test_the_real_tool_says_the_same() -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces need root")
    script = "\n".join(f"echo {shlex.quote('$ ' + line)}; {line} 2>&1; echo rc=$?" for line in LINES)
    command = ["unshare", "-n", "sh", "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == SESSION
