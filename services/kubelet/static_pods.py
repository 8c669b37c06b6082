"""Static pods: manifests of a folder that the kubelet runs without the API, shown there as mirror pods."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from podwire.proto.kube import resources
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import codec
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.context import Context

MIRROR: Final = "kubernetes.io/config.mirror"
_RETRY: Final = 0.5


class StaticPod(msgspec.Struct, frozen=True):
    """A manifest as it is run on one node, and its content's hash."""

    pod: Pod
    body: dict[str, Any]
    digest: str


def read(folder: str, node: str) -> list[StaticPod]:
    """The manifests of a folder, in order of file name. Raises ValueError for one that is not a Pod."""
    return [static_pod(path.read_text(), node) for path in sorted(Path(folder).glob("*.yaml"))]


def static_pod(text: str, node: str) -> StaticPod:
    """A manifest as this node runs it: its name carries the node's, its uid follows from its content."""
    body = yaml.safe_load(text)
    if not isinstance(body, dict) or body.get("kind") != "Pod":
        raise ValueError(f"a static pod's manifest must be a Pod, not {str(body)[:80]!r}")
    digest = hashlib.sha256(f"{node}\0{text}".encode()).hexdigest()[:32]
    metadata = {**body["metadata"], "uid": digest, "name": f"{body['metadata']['name']}-{node}"}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), "kubernetes.io/config.source": "file"}
    body = {**body, "metadata": metadata, "spec": {**body["spec"], "nodeName": node}}
    return StaticPod(codec.decode(Pod, codec.encode(body)), body, digest)


def mirror_body(static: StaticPod) -> dict[str, Any]:
    """The mirror pod's object; the API gives it a uid of its own."""
    metadata = {key: value for key, value in static.body["metadata"].items() if key != "uid"}
    metadata["annotations"] = {**metadata["annotations"], MIRROR: static.digest}
    return {**static.body, "metadata": metadata}


def is_mirror(pod: Pod) -> bool:
    """Whether an object is only the reflection of a static pod."""
    return MIRROR in (pod.metadata.annotations or {})


async def keep_mirror(context: Context, client: ApiClient, static: StaticPod) -> None:
    """Makes the mirror pod; tries until the API has it."""
    while True:
        try:
            await client.create(resources.PODS, static.pod.metadata.namespace, mirror_body(static))
        except ApiError as error:
            if error.code == 409:
                return
            context.log.debug("no mirror pod yet", pod=static.pod.metadata.name, reason=str(error))
        except ApiUnavailable:
            pass
        else:
            return
        await asyncio.sleep(_RETRY)
