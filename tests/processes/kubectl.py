"""The real kubectl under test: each version beside the one in the path, in a namespace of its own."""

import os
import pty
import re
import select
import shutil
import subprocess
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

VERSIONS: Final = ("1.27", "1.28", "1.29", "1.30", "1.31", "1.32", "1.33")


def binaries() -> dict[str, str]:
    """The kubectl of each version, beside the one in the path, or just that one."""
    found = shutil.which("kubectl")
    if found is None:
        return {}
    folder = Path(os.path.realpath(found)).parent
    versions = {version: folder / f"kubectl.{version}" for version in VERSIONS}
    beside = {version: str(path) for version, path in versions.items() if os.access(path, os.X_OK)}
    return beside or {"kubectl": found}


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One version of kubectl in a namespace of its own."""

    binary: str
    kubeconfig: str
    cache: str
    namespace: str

    def command(self, *arguments: str) -> list[str]:
        options = ["--kubeconfig", self.kubeconfig, "--cache-dir", self.cache, "-n", self.namespace]
        return [self.binary, *options, *arguments]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """The output of a command that succeeds."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """What a command that fails says."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 1, f"{' '.join(arguments)}: exit code {done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr.strip()

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        """A printed table, by its headings."""
        return table(self(*arguments))

    def object(self, *arguments: str) -> Any:
        """An object or a list as it is stored."""
        return yaml.safe_load(self("get", *arguments, "-o", "yaml"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on beside the test; the test ends it."""
        return subprocess.Popen(
            self.command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def terminal(self, *arguments: str, typed: str = "", after: str = "", seconds: float = 40) -> tuple[int, str]:
        """Runs a command in a terminal of 33 rows and 101 columns; types once `after` was shown. The exit code and all
        that was shown."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (33, 101))
        process = subprocess.Popen(self.command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            shown = _converse(ours, process, typed, after, seconds)
            return process.wait(timeout=10), shown
        finally:
            process.kill()
            process.wait(timeout=10)
            os.close(ours)


def _converse(terminal: int, process: subprocess.Popen[bytes], typed: str, after: str, seconds: float) -> str:
    """Reads a terminal until its program ends, typing at the right moment."""
    shown, until, waiting = "", time.monotonic() + seconds, bool(typed)
    while time.monotonic() < until:
        if waiting and after in shown:
            os.write(terminal, typed.encode())
            waiting = False
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                shown += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                return shown
        elif process.poll() is not None:
            return shown
    raise AssertionError(f"still running after {seconds:g} s, having shown: {shown}")


def table(text: str) -> list[dict[str, str]]:
    """The rows of a table whose columns are as wide as kubectl prints them."""
    heading, *lines = text.rstrip().splitlines()
    starts = [match.start() for match in re.finditer(r"(?<!\S)\S+( \S+)*", heading)]
    ends = [*starts[1:], None]
    cut = [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in (heading, *lines)]
    return [dict(zip(cut[0], row, strict=True)) for row in cut[1:]]


def in_namespace(binary: str, version: str, kubeconfig: Path, prefix: str) -> Kubectl:
    """A version of kubectl in a namespace that is there."""
    cache = kubeconfig.parent.parent / f"kubectl-cache-{version}"
    namespace = f"{prefix}-" + re.sub(r"\W", "-", version)
    made = Kubectl(binary, str(kubeconfig), str(cache), namespace)
    made("apply", "-f", "-", stdin=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n")
    return made
