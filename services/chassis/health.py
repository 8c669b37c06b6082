"""A process answers how it is, and takes the faults of its link to the others."""

from collections.abc import Callable

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.process import Health, Request, SetFaults
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.context import Context


def serve_health(context: Context, facts: Callable[[], dict[str, str]]) -> None:
    """Answers on `process.<component>.<instance>` with the service's own facts."""

    def answer(message: Message) -> None:
        try:
            request: Request = codec.decode_union(Request, message.payload)
        except codec.ForeignMessage as error:
            context.foreign.drop(context.log, message.subject, str(error))
            return
        if isinstance(request, SetFaults):
            context.faults.set(request)
            context.log.info("faults set", connection=len(request.faults), links=len(request.links), skew=request.skew)
        if message.reply:
            context.bus.publish(message.reply, codec.encode(_health(context, facts())))

    context.bus.subscribe(subjects.process(context.component, context.instance), answer)


def _health(context: Context, facts: dict[str, str]) -> Health:
    told = {
        **facts,
        "dropped": str(context.foreign.dropped),
        "faults": str(len(context.faults.rules) + len(context.faults.links)),
        "lost": str(context.faults.lost),
    }
    return Health(component=context.component, instance=context.instance, node=context.machine, facts=told)


def local_subjects(component: str, instance: str, node: str) -> tuple[str, ...]:
    """What no fault of the connection touches: the process's own control subject, and its own machine, which is also
    the one of the container that it serves."""
    own = (subjects.process(component, instance), "_INBOX.>", "container.>")
    return (*own, subjects.kernel(node), subjects.runtime(node), subjects.runtime_events(node)) if node else own
