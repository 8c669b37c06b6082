"""The files of a pod's volumes, from the objects that it refers to, and where containers see them.

Source: kubernetes `pkg/volume/{configmap,secret,projected,downwardapi,hostpath,local,emptydir}`,
`pkg/kubelet/kubelet_pods.go` (makeMounts), `pkg/kubelet/volumemanager/populator`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from podwire.proto.kube.container import Container, VolumeMount
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.volume import DownwardVolume, KeyToPath, ProjectedVolume, Projection, Volume
from podwire.proto.messages.runtime import Mount, VolumeFile
from podwire.services.kubelet.core.fields import Addresses, file_field, resource_field
from podwire.services.kubelet.core.references import (
    CannotConfigure,
    References,
    config_map_bytes,
    secret_bytes,
    token_key,
)
from podwire.services.kubelet.core.variables import expand

BUILT: Final = "configMap, secret, projected, downwardAPI, emptyDir, hostPath, persistentVolumeClaim"
_TOKEN_MODE: Final = 0o600


def pod_folder(uid: str) -> str:
    """Everything that the kubelet keeps for a pod."""
    return f"/var/lib/kubelet/pods/{uid}"


@dataclass(frozen=True, slots=True)
class Filled:
    """A volume that the kubelet writes and keeps up to date."""

    folder: str
    files: Mapping[str, VolumeFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the pod that containers write into."""

    folder: str


@dataclass(frozen=True, slots=True)
class OfMachine:
    """A folder or file of the machine, with what it must be (hostPath's type)."""

    folder: str
    type: str = ""


Place = Filled | Folder | OfMachine


def place(pod: Pod, volume: Volume, references: References, addresses: Addresses) -> Place:
    """Where a volume is on the machine, and its files where the kubelet writes them. Raises CannotConfigure."""
    root = f"{pod_folder(pod.metadata.uid)}/volumes/kubernetes.io~"
    if volume.empty_dir is not None:
        return Folder(f"{root}empty-dir/{volume.name}")
    if volume.host_path is not None:
        return OfMachine(volume.host_path.path, volume.host_path.type)
    if volume.persistent_volume_claim is not None:
        return _claimed(pod, volume.persistent_volume_claim.claim_name, references)
    if volume.config_map is not None:
        files = _config_map(Projection(config_map=volume.config_map), volume.config_map.default_mode, references)
        return Filled(f"{root}configmap/{volume.name}", files)
    if volume.secret is not None:
        return Filled(f"{root}secret/{volume.name}", _secret_volume(volume, references))
    if volume.downward_api is not None:
        files = _downward(pod, volume.downward_api, volume.downward_api.default_mode, addresses)
        return Filled(f"{root}downward-api/{volume.name}", files)
    if volume.projected is not None:
        files = _projected(pod, volume.projected, references, addresses)
        return Filled(f"{root}projected/{volume.name}", files)
    raise CannotConfigure(f"this kind of volume is not built ({BUILT})")


def _claimed(pod: Pod, name: str, references: References) -> OfMachine:
    claim = references.claims.get(name)
    where = f"error processing PVC {pod.metadata.namespace}/{name}"
    if claim is None:
        text = f'persistentvolumeclaims "{name}" not found'
        raise CannotConfigure(f"{where}: failed to fetch PVC from API server: {text}")
    if claim.status.phase != "Bound" or not claim.spec.volume_name:
        raise CannotConfigure(f"{where}: PVC is not bound")
    volume = references.volumes.get(name)
    if volume is None:
        raise CannotConfigure(f'failed to fetch PV {claim.spec.volume_name}: persistentvolume "{name}" not found')
    if volume.spec.local is not None:
        return OfMachine(volume.spec.local.path, "Directory")
    if volume.spec.host_path is not None:
        return OfMachine(volume.spec.host_path.path, volume.spec.host_path.type)
    raise CannotConfigure(f"PersistentVolume {claim.spec.volume_name}: only hostPath and local are built")


# -- the files


def _secret_volume(volume: Volume, references: References) -> dict[str, VolumeFile]:
    source = volume.secret
    assert source is not None
    return _secret(source.secret_name, source.items, source.optional, source.default_mode, references)


def _secret(
    name: str, items: list[KeyToPath] | None, optional: bool, mode: int, references: References
) -> dict[str, VolumeFile]:
    found = references.secrets.get(name)
    if found is None and not optional:
        raise CannotConfigure(f'secret "{name}" not found')
    return _selected(secret_bytes(found) if found else {}, items, optional, mode, "references non-existent secret key")


def _config_map(source: Projection, mode: int, references: References) -> dict[str, VolumeFile]:
    wanted = source.config_map
    assert wanted is not None
    found = references.config_maps.get(wanted.name)
    if found is None and not wanted.optional:
        raise CannotConfigure(f'configmap "{wanted.name}" not found')
    data = config_map_bytes(found) if found else {}
    return _selected(data, wanted.items, wanted.optional, mode, "configmap references non-existent config key")


def _selected(
    data: dict[str, bytes], items: list[KeyToPath] | None, optional: bool, mode: int, missing: str
) -> dict[str, VolumeFile]:
    if not items:
        return {key: VolumeFile(value, mode) for key, value in data.items()}
    files = {}
    for item in items:
        if item.key in data:
            files[item.path] = VolumeFile(data[item.key], mode if item.mode is None else item.mode)
        elif not optional:
            raise CannotConfigure(f"{missing}: {item.key}")
    return files


def _downward(pod: Pod, source: DownwardVolume, mode: int, addresses: Addresses) -> dict[str, VolumeFile]:
    files = {}
    for item in source.items or []:
        text = ""
        if item.field_ref is not None:
            text = file_field(pod, item.field_ref.field_path, addresses)
        elif item.resource_field_ref is not None:
            text = resource_field(pod, item.resource_field_ref, None)
        files[item.path] = VolumeFile(text.encode(), mode if item.mode is None else item.mode)
    return files


def _projected(
    pod: Pod, volume: ProjectedVolume, references: References, addresses: Addresses
) -> dict[str, VolumeFile]:
    files: dict[str, VolumeFile] = {}
    mode = volume.default_mode
    for source in volume.sources or []:
        if source.config_map is not None:
            files |= _config_map(source, mode, references)
        if source.secret is not None:
            files |= _secret(source.secret.name, source.secret.items, source.secret.optional, mode, references)
        if source.downward_api is not None:
            files |= _downward(pod, source.downward_api, mode, addresses)
        if source.service_account_token is not None:
            files[source.service_account_token.path] = _token(pod, source, mode, references)
    return files


def _token(pod: Pod, source: Projection, mode: int, references: References) -> VolumeFile:
    projection = source.service_account_token
    assert projection is not None
    token = references.tokens.get(token_key(projection))
    if token is None:
        account = pod.spec.service_account_name or "default"
        raise CannotConfigure(f'failed to fetch token: serviceaccounts "{account}" not found')
    context = pod.spec.security_context
    has_owner = context is not None and (context.run_as_user is not None or context.fs_group is not None)
    return VolumeFile(token.encode(), _TOKEN_MODE if has_owner else mode)


# -- where containers see them


def mounts(pod: Pod, container: Container, places: Mapping[str, Place], values: Mapping[str, str]) -> list[Mount]:
    """What a container sees of the machine. A file below a kubelet's volume (subPath) is a copy of that moment: it is
    not updated. Raises CannotConfigure."""
    return [_mount(pod, container, mount, number, places, values) for number, mount in _numbered(container)]


def _numbered(container: Container) -> list[tuple[int, VolumeMount]]:
    return list(enumerate(container.volume_mounts or []))


def _mount(
    pod: Pod,
    container: Container,
    mount: VolumeMount,
    number: int,
    places: Mapping[str, Place],
    values: Mapping[str, str],
) -> Mount:
    found = places.get(mount.name)
    if found is None:
        raise CannotConfigure(f"volume {mount.name!r} is not declared")
    sub_path = expand(mount.sub_path_expr, values) if mount.sub_path_expr else mount.sub_path
    if mount.sub_path_expr and "$(" in sub_path:
        raise CannotConfigure(
            f"failed to prepare subPath for volumeMount {mount.name!r} of container {container.name!r}"
        )
    read_only = mount.read_only or isinstance(found, Filled)
    plain = Mount(host_path=found.folder, container_path=mount.mount_path, read_only=read_only)
    if not sub_path:
        return plain
    if isinstance(found, Filled):
        copy = f"{pod_folder(pod.metadata.uid)}/volume-subpaths/{mount.name}/{container.name}/{number}"
        return replace_mount(plain, copy)
    return replace_mount(plain, f"{found.folder.rstrip('/')}/{sub_path}")


def replace_mount(mount: Mount, host_path: str) -> Mount:
    """The same mount of another place."""
    return Mount(host_path=host_path, container_path=mount.container_path, read_only=mount.read_only)


def copies(container: Container, places: Mapping[str, Place], values: Mapping[str, str]) -> dict[int, Filled]:
    """The files that subPath mounts of the kubelet's volumes copy, by the mount's number: one file has the name ""."""
    found = {}
    for number, mount in _numbered(container):
        place_of = places.get(mount.name)
        sub_path = expand(mount.sub_path_expr, values) if mount.sub_path_expr else mount.sub_path
        if sub_path and isinstance(place_of, Filled):
            inside = sub_path.strip("/") + "/"
            below = {name[len(inside) :]: data for name, data in place_of.files.items() if name.startswith(inside)}
            single = place_of.files.get(sub_path.strip("/"))
            found[number] = replace(place_of, files={"": single} if single is not None else below)
    return found
