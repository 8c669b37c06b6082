"""The machine's process: boots, answers kubelets, programmers, claimants and operators until it loses power."""

import asyncio

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.container import Booted
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.node.machine import boot, serve_programming
from podwire.services.node.operator import serve_operator
from podwire.services.node.settings import NodeSettings


class Node:
    """One machine."""

    def __init__(self, context: Context, settings: NodeSettings) -> None:
        self._context, self._settings = context, settings

    async def run(self) -> None:
        """Runs until the process ends."""
        machine = boot(self._context, self._settings)
        machine.runtime.serve()
        serve_programming(machine)
        serve_operator(machine)
        serve_health(
            self._context,
            lambda: {
                "boot": machine.boot_id,
                "sandboxes": str(len(machine.runtime.sandboxes.records)),
                "malformed": str(machine.shell.malformed),
                "lost": str(machine.shell.lost),
            },
        )
        self._context.bus.publish(subjects.booted(machine.name), codec.encode(Booted(boot_id=machine.boot_id)))
        self._context.log.info("booted", boot_id=machine.boot_id)
        await asyncio.Event().wait()
