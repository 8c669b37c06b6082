"""A process answers how it is."""

from collections.abc import Callable

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.process import Health
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.context import Context


def serve_health(context: Context, facts: Callable[[], dict[str, str]], pid: int = 0) -> None:
    """Answers on `process.<component>.<instance>` with the service's own facts."""

    def answer(message: Message) -> None:
        health = Health(
            component=context.component, instance=context.instance, node=context.node, pid=pid, facts=facts()
        )
        if message.reply:
            context.bus.publish(message.reply, codec.encode(health))

    context.bus.subscribe(subjects.process(context.component, context.instance), answer)
