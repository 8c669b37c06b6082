"""ip netns (iproute2 ip/ipnetns.c); exec is in command.py."""

from typing import Any

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.programs.ip.arguments import IpCall, IpError


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip netns list"""
    named = [(name, number) for number, name in enumerate(each for each in namespace.kernel.namespaces if each)]
    if call.json:
        return [{"name": name, "id": number} for name, number in reversed(named)]
    return "".join(f"{name} (id: {number})\n" for name, number in reversed(named))


def identify(namespace: Namespace, call: IpCall) -> str:
    """ip netns identify"""
    return f"{namespace.name}\n" if namespace.name else ""


def change(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip netns add|delete NAME"""
    if len(call.words) != 1:
        raise IpError("No netns name specified" if not call.words else f'"{call.words[1]}" is a garbage')
    name = call.words[0]
    if not name or "/" in name or name in (".", ".."):
        raise IpError(f'Invalid netns name "{name}"')
    exists = name in namespace.kernel.namespaces
    if call.command == "add":
        if exists:
            raise IpError(f'Cannot create namespace file "/run/netns/{name}": File exists', 1)
        return [operations.NetnsAdd(netns=name)]
    if not exists:
        raise IpError(f'Cannot remove namespace file "/run/netns/{name}": No such file or directory', 1)
    return [operations.NetnsDelete(netns=name)]
