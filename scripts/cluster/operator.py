"""Whoever asks a cluster as its operator, over whichever bus it has: live from a command, or in a simulation."""

from dataclasses import dataclass

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import Bus, BusError, NoResponders
from podwire.services.chassis.chance import RandomBits
from podwire.services.chassis.clock import Clock


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator's bus and API, time, and chance for names that none has had."""

    bus: Bus
    api: ApiClient
    clock: Clock
    random: RandomBits

    async def ask_machine(self, node: str, call: messages.Call, timeout: float = 10.0) -> messages.Answer:
        """One call to a machine. Raises UserError."""
        payload = codec.encode(messages.MachineRequest(call=call))
        try:
            answer = await pieces.request(self.bus, subjects.machine(node), payload, timeout)
        except NoResponders:
            raise UserError(f"node {node!r}: no such machine, or it has no power (podwire status lists them)") from None
        except BusError as error:
            raise UserError(f"node {node!r}: {error}") from None
        reply: messages.Answer = codec.decode_union(messages.Answer, answer)
        return reply
