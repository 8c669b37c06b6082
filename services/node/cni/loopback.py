"""The loopback plugin: brings lo up in the pod's namespace (containernetworking/plugins, plugins/main/loopback)."""

from typing import Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.cni.plugin import Arguments, CniError, Host

_DEVICE: Final = "lo"


def add(host: Host, arguments: Arguments) -> None:
    """Raises CniError."""
    host.program(operations.LinkSet(netns=arguments.namespace, name=_DEVICE, up=True))


def check(host: Host, arguments: Arguments) -> None:
    """Raises CniError where it is down."""
    link = host.links(arguments.namespace).get(_DEVICE)
    if link is None or not link.up:
        raise CniError("loopback interface is down")
