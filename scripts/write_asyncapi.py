"""Writes proto/asyncapi.yaml from the message types: `python -m podwire.scripts.write_asyncapi`."""

import inspect
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from podwire import __version__
from podwire.proto.messages import (
    api,
    capture,
    container,
    events,
    kernel,
    kubelet,
    machine,
    process,
    runtime,
    telemetry,
)

TARGET: Final = Path(__file__).resolve().parent.parent / "proto" / "asyncapi.yaml"


class Channel(NamedTuple):
    """A subject, what travels on it, and what answers (None: nothing does)."""

    address: str
    summary: str
    messages: tuple[Any, ...]
    answers: tuple[Any, ...] = ()


CHANNELS: Final = {
    "objectEvents": Channel(
        "kube.events.{group}.{resource}.{namespace}.{name}",
        "JetStream: every change of an API object; its sequence is the resourceVersion.",
        (events.ObjectEvent,),
    ),
    "floor": Channel("kube.floor", "JetStream: the revision below which history may be gone.", (events.Floor,)),
    "heartbeat": Channel("kube.heartbeat", "The API server's sign of life.", (events.Heartbeat,)),
    "apiRequest": Channel(
        "kube.request.{user}",
        "Requests to the API server in HTTP's terms; the subject names the requester.",
        (api.ApiRequest,),
        (api.ApiResponse,),
    ),
    "kernel": Channel("kernel.{node}", "Programming of a machine's kernel.", (kernel.Program,), (kernel.Programmed,)),
    "runtime": Channel(
        "runtime.{node}",
        "The kubelet's calls to the container runtime.",
        (runtime.RuntimeRequest,),
        (runtime.RuntimeAnswer,),
    ),
    "runtimeEvents": Channel("runtime.{node}.events", "Container state changes.", (runtime.ContainerChanged,)),
    "machine": Channel(
        "machine.{node}",
        "An operator's shell on a machine, a traced connection, packets to send, or a capture.",
        (machine.MachineRequest,),
        (machine.Accepted, machine.Outcome, machine.Injected, machine.Refused),
    ),
    "kubelet": Channel(
        "kubelet.{node}",
        "What the API server asks of a kubelet.",
        (
            kubelet.ExecRequest,
            kubelet.AttachRequest,
            kubelet.LogRequest,
            kubelet.PortForwardRequest,
            kubelet.PathRequest,
        ),
        (kubelet.StreamOpened, kubelet.StreamRefused, kubelet.PathAnswer),
    ),
    "streamInput": Channel(
        "stream.{node}.{session}.in",
        "Frames towards a program.",
        (
            kubelet.Data,
            kubelet.Resize,
            kubelet.Signal,
            kubelet.CloseStdin,
            kubelet.Alive,
            kubelet.Credit,
            kubelet.StreamError,
        ),
    ),
    "streamOutput": Channel(
        "stream.{node}.{session}.out",
        "Frames from a program. Those of a capture carry blocks of capture.Captured and capture.Seen.",
        (
            kubelet.Data,
            kubelet.Alive,
            kubelet.Credit,
            kubelet.Exit,
            kubelet.StreamError,
            capture.Captured,
            capture.Seen,
        ),
    ),
    "offer": Channel(
        "container.{image}.{node}.offer",
        "A container looks for a process (queue group).",
        (container.Offer,),
        (container.Claim,),
    ),
    "booted": Channel(
        "container.booted.{node}",
        "A machine has booted: containers of its earlier boots are gone.",
        (container.Booted,),
    ),
    "containerCall": Channel(
        "container.{image}.{node}.{container}.call",
        "A claimed process asks its machine.",
        (container.ContainerCall,),
        (container.Taken, container.Opened, container.FileContent, container.Gone, container.Refused),
    ),
    "containerSignal": Channel(
        "container.{image}.{node}.{container}.signal",
        "A machine tells the claimed process.",
        (container.ContainerSignal,),
    ),
    "hops": Channel("telemetry.hop.{node}", "The hops of traced packets.", (telemetry.Hop,)),
    "drops": Channel("telemetry.drop.{node}", "Packets that died, and why.", (telemetry.Drop,)),
    "process": Channel(
        "process.{component}.{instance}",
        "How a process is, and faults of its link.",
        (process.HealthRequest, process.SetFaults),
        (process.Health,),
    ),
}

WIRE: Final = {
    "address": "wire.{segment}.{mac}",
    "description": "Ethernet frames between NICs: MessagePack [frames], or [frames, {index: trace id}].",
    "parameters": {"segment": {}, "mac": {"description": "12 hexadecimal digits; ffffffffffff is broadcast"}},
}


def document() -> dict[str, Any]:
    """The whole document (AsyncAPI 3.0)."""
    kinds = [kind for channel in CHANNELS.values() for kind in (*channel.messages, *channel.answers)]
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    messages = {name_of(kind): {"payload": schema} for kind, schema in zip(unique, schemas, strict=True)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "podwire's bus",
            "version": __version__,
            "description": "Every NATS subject and what travels on it. Payloads are MessagePack of these schemas; "
            "requests and answers on kube.request, kernel, runtime, machine, kubelet and telemetry.query are framed "
            "as services/chassis/bus/pieces.py says. Written by scripts/write_asyncapi.py.",
        },
        "defaultContentType": "application/msgpack",
        "channels": {name: _channel(channel) for name, channel in CHANNELS.items()} | {"wire": WIRE},
        "components": {"messages": messages, "schemas": components},
    }


def name_of(kind: Any) -> str:
    """A message's name: its module and class, as two modules may use one word."""
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


def _channel(channel: Channel) -> dict[str, Any]:
    parameters: dict[str, Any] = {part[1:-1]: {} for part in channel.address.split(".") if part.startswith("{")}
    told: dict[str, Any] = {"address": channel.address, "description": channel.summary}
    if parameters:
        told["parameters"] = parameters
    kinds = (*channel.messages, *channel.answers)
    told["messages"] = {name_of(kind): {"$ref": f"#/components/messages/{name_of(kind)}"} for kind in kinds}
    if channel.answers:
        told["x-answers"] = [name_of(kind) for kind in channel.answers]
    return told


def text() -> str:
    """The document as YAML."""
    plain = _with_clean_descriptions(msgspec.to_builtins(document()))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def _with_clean_descriptions(value: Any) -> Any:
    """Docstrings without their indentation, which CPython strips only from 3.13 on."""
    if isinstance(value, dict):
        return {key: _clean(key, entry) for key, entry in value.items()}
    return [_with_clean_descriptions(entry) for entry in value] if isinstance(value, list) else value


def _clean(key: str, value: Any) -> Any:
    is_text = key == "description" and isinstance(value, str)
    return inspect.cleandoc(value) if is_text else _with_clean_descriptions(value)


if __name__ == "__main__":
    TARGET.write_text(text())
