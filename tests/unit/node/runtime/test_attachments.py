"""Attaching to a program that runs outside the machine: its lines from then on, each on its own stream."""

import asyncio
from typing import cast

from podwire.proto.messages.runtime import ContainerConfig, SandboxConfig
from podwire.services.node.files import ContainerFiles, Files
from podwire.services.node.processes import PidNamespace
from podwire.services.node.runtime.attachments import follow
from podwire.services.node.runtime.records import ContainerRecord, SandboxRecord
from podwire.services.node.runtime.sessions import Session


class Collected:
    """A session's two outputs."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes]] = []
        self.stdout, self.stderr = _Writer(self.lines, "stdout"), _Writer(self.lines, "stderr")


class _Writer:
    def __init__(self, lines: list[tuple[str, bytes]], name: str) -> None:
        self._lines, self._name = lines, name

    async def write(self, data: bytes) -> None:
        """Takes it."""
        self._lines.append((self._name, data))

    def close(self) -> None:
        """Nothing follows."""


def a_record() -> ContainerRecord:
    """A claimed container."""
    pids = PidNamespace()
    sandbox = SandboxRecord("s", SandboxConfig(name="p", namespace="d", uid="u"), 0, "", pids)
    config = ContainerConfig(name="c", image="kube-proxy", claimed="kube-proxy")
    return ContainerRecord("c", sandbox, config, 0, ContainerFiles(Files({}), Files({}), [], False), pids)


def test_lines_come_as_they_are_written() -> None:
    async def scene() -> list[tuple[str, bytes]]:
        record, session = a_record(), Collected()
        record.log.add("stderr", "before", 0)
        task = asyncio.create_task(follow(record, cast(Session, session)))
        await asyncio.sleep(0)
        for stream, text in (("stderr", "one"), ("stdout", "two"), ("stderr", "three")):
            record.log.add(stream, text, 0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        task.cancel()
        return session.lines

    assert asyncio.run(scene()) == [("stderr", b"one\n"), ("stdout", b"two\n"), ("stderr", b"three\n")]
