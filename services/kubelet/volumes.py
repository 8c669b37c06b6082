"""A pod's volumes on the machine: set up before its sandbox, kept up to date while it runs.

Source: kubernetes `pkg/kubelet/volumemanager`, `pkg/kubelet/kubelet.go` (syncFrequency: a minute). As there, a changed
ConfigMap or Secret reaches running pods with the next sync of the pod, which is at most a minute away.
"""

from collections.abc import Mapping
from typing import Final

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.volume import Volume
from podwire.proto.messages import runtime
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.references import CannotConfigure, References
from podwire.services.kubelet.core.volumes import (
    Filled,
    Folder,
    OfMachine,
    Place,
    copies,
    mounts,
    place,
    pod_folder,
)
from podwire.services.kubelet.lookups import Lookups
from podwire.services.kubelet.runtime import RuntimeFailed
from podwire.services.kubelet.surroundings import PodView, Surroundings

SYNC_EVERY: Final = 60 * SECOND


class CannotMount(Exception):
    """A volume is not ready; the message is the FailedMount Event's."""


class PodVolumes:
    """The volumes of one pod."""

    def __init__(self, around: Surroundings, view: PodView, lookups: Lookups) -> None:
        self._around, self._view, self._lookups = around, view, lookups
        self._due = 0

    async def set_up(self) -> dict[str, Place]:
        """Brings every volume up to date; where each is. Raises CannotMount, RuntimeFailed, ApiError."""
        self._due = self._around.context.clock.now_ns() + SYNC_EVERY
        volumes = self._view.pod.spec.volumes or []
        if not volumes:
            return {}
        try:
            references = await self._lookups.references()
        except CannotConfigure as error:
            raise CannotMount(f"MountVolume.SetUp failed for volume {_with_token(volumes)} : {error}") from None
        return {volume.name: await self._set_up(volume, references) for volume in volumes}

    async def _set_up(self, volume: Volume, references: References) -> Place:
        try:
            found = place(self._view.pod, volume, references, self._view.addresses())
            await self._prepare(found)
        except CannotConfigure as error:
            if volume.persistent_volume_claim is not None:
                raise CannotMount(_not_mounted(volume.name, str(error))) from None
            raise CannotMount(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from None
        except RuntimeFailed as error:
            if error.code != "FailedPrecondition" or not str(error).startswith("hostPath"):
                raise
            raise CannotMount(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from None
        return found

    async def _prepare(self, found: Place) -> None:
        call = self._around.runtime.call
        match found:
            case Filled(folder, files):
                await call(runtime.WriteVolume(folder=folder, files=dict(files)))
            case Folder(folder):
                await call(runtime.PrepareFolder(folder=folder))
            case OfMachine(folder, kind) if kind:
                await call(runtime.PrepareFolder(folder=folder, kind=kind))

    def refresh_soon(self) -> None:
        """The pod was changed: that syncs it, and its volumes with it."""
        self._due = 0

    def refresh_due(self) -> int:
        """When the volumes of a running pod are looked at again (nanoseconds); far away without any."""
        return self._due if self._view.pod.spec.volumes else 1 << 62

    async def mounts(self, spec: ContainerSpec, values: Mapping[str, str]) -> list[runtime.Mount]:
        """What a container sees of them, with copies for its subPath mounts. Raises as `set_up`, CannotConfigure."""
        if not spec.volume_mounts:
            return []
        places = await self.set_up()
        found = mounts(self._view.pod, spec, places, values)
        for number, copy in copies(spec, places, values).items():
            await self._around.runtime.call(runtime.CopyFiles(folder=found[number].host_path, files=dict(copy.files)))
        return found

    async def remove(self) -> None:
        """Removes everything that was kept for the pod. Raises RuntimeFailed."""
        await self._around.runtime.call(runtime.RemoveFiles(folder=pod_folder(self._view.uid)))


def _not_mounted(name: str, why: str) -> str:
    return (
        f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
        f"failed to process volumes=[{name}]: {why}"
    )


def _with_token(volumes: list[Volume]) -> str:
    """The volume that wants a token: only that can fail before the objects are looked at."""
    for volume in volumes:
        sources = (volume.projected.sources or []) if volume.projected is not None else []
        if any(source.service_account_token is not None for source in sources):
            return f'"{volume.name}"'
    return f'"{volumes[0].name}"'
