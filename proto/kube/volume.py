"""The volumes of a pod as the kubelet reads them."""

import msgspec

from podwire.proto.kube.meta import View


class KeyToPath(View, frozen=True, kw_only=True):
    """A key and the file that it becomes."""

    key: str
    path: str
    mode: int | None = None


class ConfigMapVolume(View, frozen=True, kw_only=True):
    """A ConfigMap as files; also a source of a projected volume."""

    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False
    default_mode: int = 0o644


class SecretVolume(View, frozen=True, kw_only=True):
    """A Secret as files."""

    secret_name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False
    default_mode: int = 0o644


class SecretProjection(View, frozen=True, kw_only=True):
    """A Secret in a projected volume, where its name has another field."""

    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool = False


class FieldSelector(View, frozen=True, kw_only=True):
    """A field of the pod itself."""

    field_path: str


class ResourceSelector(View, frozen=True, kw_only=True):
    """A request or limit of a container, in units of the divisor ("0" or "" mean 1)."""

    resource: str
    container_name: str = ""
    divisor: str | int = "0"


class DownwardFile(View, frozen=True, kw_only=True):
    """A file with a field of the pod."""

    path: str
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceSelector | None = None
    mode: int | None = None


class DownwardVolume(View, frozen=True, kw_only=True):
    """Fields of the pod as files."""

    items: list[DownwardFile] | None = None
    default_mode: int = 0o644


class TokenProjection(View, frozen=True, kw_only=True):
    """A token of the pod's service account."""

    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class Projection(View, frozen=True, kw_only=True):
    """One source of a projected volume."""

    config_map: ConfigMapVolume | None = None
    secret: SecretProjection | None = None
    service_account_token: TokenProjection | None = None
    downward_api: DownwardVolume | None = msgspec.field(name="downwardAPI", default=None)


class ProjectedVolume(View, frozen=True, kw_only=True):
    """Several sources in one folder."""

    sources: list[Projection] | None = None
    default_mode: int = 0o644


class HostPathVolume(View, frozen=True, kw_only=True):
    """A folder of the machine."""

    path: str
    type: str = ""


class EmptyDirVolume(View, frozen=True, kw_only=True):
    """A folder that lives as long as the pod."""

    medium: str = ""


class ClaimVolume(View, frozen=True, kw_only=True):
    """The volume that a PersistentVolumeClaim is bound to."""

    claim_name: str
    read_only: bool = False


class Volume(View, frozen=True, kw_only=True):
    """A volume; at most one source is set."""

    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    host_path: HostPathVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    projected: ProjectedVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(name="downwardAPI", default=None)
    persistent_volume_claim: ClaimVolume | None = None


class ClaimSpec(View, frozen=True, kw_only=True):
    """What a claim is bound to ("" while it is not)."""

    volume_name: str = ""


class ClaimStatus(View, frozen=True, kw_only=True):
    """The claim's phase."""

    phase: str = "Pending"


class PersistentVolumeClaim(View, frozen=True, kw_only=True):
    """core/v1 PersistentVolumeClaim."""

    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class LocalVolume(View, frozen=True, kw_only=True):
    """A folder of the machine, as a PersistentVolume."""

    path: str


class PersistentVolumeSpec(View, frozen=True, kw_only=True):
    """Where a volume's files are; other sources are not served here."""

    host_path: HostPathVolume | None = None
    local: LocalVolume | None = None


class PersistentVolume(View, frozen=True, kw_only=True):
    """core/v1 PersistentVolume."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()
