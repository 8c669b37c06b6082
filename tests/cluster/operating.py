"""An operator's calls to the machines of a whole simulated cluster."""

from typing import Any

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.services.chassis.bus import pieces

from .conftest import Booted

Json = dict[str, Any]


async def ask(booted: Booted, node: str, call: messages.Call) -> messages.Answer:
    return await booted.cluster.prober.ask(node, call)


async def shell(booted: Booted, node: str, command: str) -> tuple[str, int]:
    """The output of a command line on a machine, and its exit code."""
    return await booted.cluster.prober.shell(node, command, patience=None)


async def execute(booted: Booted, pod: Json, command: list[str]) -> tuple[str, int]:
    """The output of a program in a pod's first container, and its exit code."""
    metadata, spec = pod["metadata"], pod["spec"]
    session = booted.cluster.prober.session(spec["nodeName"])
    request = frames.ExecRequest(
        session=session.name,
        namespace=metadata["namespace"],
        pod=metadata["name"],
        uid=metadata["uid"],
        container=spec["containers"][0]["name"],
        command=command,
    )
    payload = await pieces.request(
        booted.cluster.operator, subjects.kubelet(spec["nodeName"]), codec.encode(request), 20
    )
    reply: frames.KubeletReply = codec.decode_union(frames.KubeletReply, payload)
    assert not isinstance(reply, frames.StreamRefused), reply.message
    return await session.ended()
