"""Offering a container to the idle processes of its component; the kubelet is the only authority."""

from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.container import Claim, Offer
from podwire.services.chassis.bus import base
from podwire.services.chassis.context import Context

_ANSWER_WITHIN: Final = 1.0


def component_of(image: str, prefix: str, names: str) -> str:
    """The component that claims an image, by the repository's prefix or its whole name ("" for images that the machine
    runs itself)."""
    name = image.removeprefix(prefix).partition(":")[0]
    return name if image.startswith(prefix) or name in names.split(",") else ""


async def offer(context: Context, node: str, boot_id: str, component: str, container: str, pod: str) -> Claim | None:
    """Offers to processes of this node, then to those of any node; None when nobody takes it.

    An offer that was answered too late is withdrawn by removing the container: the process is never told to start.
    """
    message = codec.encode(Offer(image=component, node=node, boot_id=boot_id, container=container, pod=pod))
    for scope in (node, subjects.ANY_NODE):
        try:
            answer = await context.bus.request(subjects.container_offer(component, scope), message, _ANSWER_WITHIN)
            claim = codec.decode(Claim, answer)
        except (base.BusError, codec.ForeignMessage):
            continue
        if claim.container == container:
            return claim
    return None
