"""The recorder's shell: hears telemetry, answers what a trace's hops were."""

import asyncio

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.telemetry import Hop
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.recorder.core.traces import Traces
from podwire.services.recorder.settings import RecorderSettings


class Recorder:
    """Keeps recent traces in memory; they are lost with it, and nothing else depends on them."""

    def __init__(self, context: Context, settings: RecorderSettings) -> None:
        self._context = context
        self._traces = Traces()
        self._foreign = 0

    async def run(self) -> None:
        """Records until cancelled."""
        context = self._context
        context.bus.subscribe(subjects.telemetry_kind("hop"), self._hear)
        Responder(context.bus, context.tasks, self._answer).serve(subjects.TRACES)
        serve_health(context, lambda: {"traces": str(len(self._traces)), "foreign": str(self._foreign)})
        await asyncio.Event().wait()

    def _hear(self, message: Message) -> None:
        try:
            hops: list[Hop] = codec.decode_union(list[Hop], message.payload)
        except codec.ForeignMessage:
            self._foreign += 1
            return
        self._traces.add(hops)

    async def _answer(self, message: Message) -> bytes:
        return codec.encode(self._traces.of(message.payload.decode(errors="replace")))
