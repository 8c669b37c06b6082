"""What chassis tests share: a coroutine on virtual time, a broker, events as the API server writes them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.api import ApiRequest, ApiResponse, WatchOpened
from podwire.proto.messages.events import Change, Heartbeat, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.bus import base
from podwire.services.chassis.bus.memory import Broker, MemoryBus
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.simulation.loop import SimulationLoop
from podwire.services.chassis.tasks import OrderedTaskGroup

Main = Callable[[Broker], Coroutine[Any, Any, None]]


def simulate(main: Main, seed: int = 3, delay_ns: int = 1_000_000) -> SimulationLoop:
    """Runs `main` with a fresh broker in virtual time; failures that nobody saw are raised."""
    loop = SimulationLoop(seed)  # type: ignore[abstract]  # what it does not have raises Forbidden
    loop.run_until_complete(loop.spawn("test", main(Broker(RandomStream(seed), delay_ns))))
    assert not loop.failures, loop.failures
    return loop


def pod_key(name: str, namespace: str = "default") -> ObjectKey:
    return ObjectKey("", "pods", namespace, name)


def event(change: Change, write_id: str = "w", node: str = "", body: object = None) -> ObjectEvent:
    raw = msgspec.Raw(codec.encode({} if body is None else body))
    return ObjectEvent(change=change, write_id=write_id, previous=0, actor="test", time=0, node=node, object=raw)


class ToyApiServer:
    """Beats, and answers the opening of watches; `refusal` is an HTTP code to answer instead."""

    def __init__(self, broker: Broker, tasks: OrderedTaskGroup) -> None:
        self.bus: MemoryBus = broker.connect("apiserver.toy")
        self.broker = broker
        self.floor = 0
        self.alive = True
        self.refusal = 0
        self.instance = "toy"
        self.silent = False
        self.opened: list[str] = []
        Responder(self.bus, tasks, self._answer).serve(subjects.API_REQUESTS)

    def beat(self) -> None:
        if self.alive:
            beat = Heartbeat(instance=self.instance, revision=self.broker.stream.last, birth=self.broker.stream.birth)
            self.bus.publish(subjects.HEARTBEAT, codec.encode(beat))

    async def _answer(self, message: base.Message) -> bytes:
        request = codec.decode(ApiRequest, message.payload)
        self.opened.append(request.path)
        if self.silent or not self.alive:
            return await asyncio.get_running_loop().create_future()
        if self.refusal:
            return codec.encode(ApiResponse(code=self.refusal, body=b'{"message":"no","reason":"Forbidden"}'))
        stream = self.broker.stream
        opened = WatchOpened(revision=stream.last, floor=self.floor, birth=stream.birth, subjects=[])
        return codec.encode(ApiResponse(code=200, body=codec.encode(opened)))
