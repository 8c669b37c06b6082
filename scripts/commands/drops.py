"""`podwire drops`: every packet that dies, as it dies.

It is an MQTT client of the bus: whatever speaks MQTT can hear the same telemetry.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import aiomqtt
import msgspec
import typer

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.telemetry import Drop
from podwire.scripts.cluster.folder import ClusterFile, ClusterFolder, FolderError
from podwire.scripts.cluster.layout import OBSERVER
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError


def drops(
    node: Annotated[str, typer.Option(help="Of this machine only.")] = "",
    seconds: Annotated[float, typer.Option(help="Stop after so many seconds (0: never).")] = 0.0,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Follow the packets that die in the cluster: where, when, why."""
    if output not in ("text", "json"):
        raise UserError(f"--output {output}: text or json is needed")
    if seconds < 0:
        raise UserError(f"--seconds {seconds:g}: a number of seconds from 0 is needed")
    try:
        cluster = ClusterFolder(Path(data_dir)).read_cluster()
    except FolderError as error:
        raise UserError(str(error)) from None
    show = _json if output == "json" else _text
    asyncio.run(_follow(cluster, topic(node), seconds, show))


def topic(node: str) -> str:
    """The MQTT topic of a machine's drops, or of all."""
    subject = subjects.telemetry("drop", node) if node else subjects.telemetry_kind("drop")
    return subject.replace(".", "/").replace("*", "+")


async def _follow(cluster: ClusterFile, wanted: str, seconds: float, show: Callable[[Drop], str]) -> None:
    client = aiomqtt.Client(
        "127.0.0.1",
        cluster.mqtt_port,
        username=OBSERVER,
        password=cluster.observer_password,
        identifier=f"podwire-drops-{secrets.token_hex(4)}",
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=True,
    )
    try:
        async with asyncio.timeout(seconds or None), client:
            await client.subscribe(wanted)
            async for message in client.messages:
                for drop in _read(message.payload):
                    typer.echo(show(drop))
    except TimeoutError:
        return
    except aiomqtt.MqttError as error:
        raise UserError(f"the telemetry of the cluster is not to be had: {error}") from None


def _read(payload: object) -> list[Drop]:
    try:
        found: list[Drop] = codec.decode_union(list[Drop], payload if isinstance(payload, bytes) else b"")
    except codec.ForeignMessage:
        return []
    return found


def _text(drop: Drop) -> str:
    place = f"{drop.node} {drop.netns or 'host'} {drop.device}".rstrip()
    why = f"{drop.reason} ({drop.detail})" if drop.detail else drop.reason
    return f"{place:<40} {why:<40} {drop.summary}"


def _json(drop: Drop) -> str:
    return json.dumps(msgspec.to_builtins(drop))
