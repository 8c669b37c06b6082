"""What a pod's containers refer to: objects of its namespace, the Services that it sees, its addresses."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podwire.proto.kube.meta import ConfigMap, Secret
from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.volume import PersistentVolume, PersistentVolumeClaim, TokenProjection


class CannotConfigure(Exception):
    """A container or volume cannot be made from what there is (CreateContainerConfigError, FailedMount)."""


@dataclass(frozen=True, slots=True)
class References:
    """The objects of the pod's namespace that it refers to, by name, and the Services that it sees."""

    config_maps: Mapping[str, ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    claims: Mapping[str, PersistentVolumeClaim] = field(default_factory=dict)
    volumes: Mapping[str, PersistentVolume] = field(default_factory=dict)
    """PersistentVolumes, by the name of the claim that is bound to them."""
    tokens: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Tokens of the pod's service account, by audience and lifetime in seconds."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the objects that a pod refers to, in the order of their first mention."""

    config_maps: tuple[str, ...]
    secrets: tuple[str, ...]
    claims: tuple[str, ...]
    tokens: tuple[tuple[str, int], ...]


def names(pod: Pod) -> Names:
    """What has to be fetched before a pod's containers and volumes can be made."""
    config_maps, secrets, claims, tokens = _of_volumes(pod)
    for container in pod.spec.all_containers:
        for source in container.env_from or []:
            config_maps += [source.config_map_ref.name] if source.config_map_ref is not None else []
            secrets += [source.secret_ref.name] if source.secret_ref is not None else []
        for variable in container.env or []:
            origin = variable.value_from
            if origin is not None and origin.config_map_key_ref is not None:
                config_maps.append(origin.config_map_key_ref.name)
            if origin is not None and origin.secret_key_ref is not None:
                secrets.append(origin.secret_key_ref.name)
    return Names(_unique(config_maps), _unique(secrets), _unique(claims), tuple(dict.fromkeys(tokens)))


def _unique(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in found if name))


def _of_volumes(pod: Pod) -> tuple[list[str], list[str], list[str], list[tuple[str, int]]]:
    config_maps, secrets, claims, tokens = [], [], [], []
    for volume in pod.spec.volumes or []:
        if volume.config_map is not None:
            config_maps.append(volume.config_map.name)
        if volume.secret is not None:
            secrets.append(volume.secret.secret_name)
        if volume.persistent_volume_claim is not None:
            claims.append(volume.persistent_volume_claim.claim_name)
        for source in (volume.projected.sources or []) if volume.projected is not None else []:
            config_maps += [source.config_map.name] if source.config_map is not None else []
            secrets += [source.secret.name] if source.secret is not None else []
            if source.service_account_token is not None:
                tokens.append(token_key(source.service_account_token))
    return config_maps, secrets, claims, tokens


def token_key(projection: TokenProjection) -> tuple[str, int]:
    """Which token a projection wants."""
    return projection.audience, projection.expiration_seconds


def config_map_bytes(found: ConfigMap) -> dict[str, bytes]:
    """A ConfigMap's values by key, data and binaryData. Raises CannotConfigure."""
    text = {key: value.encode() for key, value in (found.data or {}).items()}
    return text | {key: decoded(value) for key, value in (found.binary_data or {}).items()}


def secret_bytes(found: Secret) -> dict[str, bytes]:
    """A Secret's values by key. Raises CannotConfigure."""
    return {key: decoded(value) for key, value in (found.data or {}).items()}


def decoded(text: str) -> bytes:
    """The bytes behind base64. Raises CannotConfigure."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise CannotConfigure("a value is not base64") from None
