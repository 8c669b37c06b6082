"""ServiceAccount admission: which account a pod runs as, and the volume with its token.

Source: kubernetes `plugin/pkg/admission/serviceaccount/admission.go`. Unlike there, a pod that comes before its
namespace's `default` account is admitted with the token volume: upstream waits for the controller, to the same end.
"""

from typing import Final

from podwire.proto.kube.json_objects import items
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.errors import forbidden
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.chassis.chance import name_suffix

DEFAULT: Final = "default"
MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT_CA: Final = "kube-root-ca.crt"
_VOLUME: Final = "kube-api-access-"
_MIRROR: Final = "kubernetes.io/config.mirror"
_EXPIRATION: Final = 3607


def admit(request: Request, pod: Json) -> None:
    """Changes a new pod. Raises ApiError 403 for an account that is not there."""
    spec, meta = pod["spec"], pod["metadata"]
    if _MIRROR in (meta.get("annotations") or {}):
        return
    account = _account(request, spec["serviceAccountName"], str(meta.get("name", "")))
    if _mounts_token(account, spec):
        _mount_token(request, spec)
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(entry) for entry in items(account, "imagePullSecrets")]


def _account(request: Request, name: str, pod: str) -> Json:
    namespace = request.target.namespace
    found = request.store.get(ObjectKey("", "serviceaccounts", namespace, name))
    if found is None and name != DEFAULT:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden("", "pods", pod, why)
    return found or {}


def _mounts_token(account: Json, spec: Json) -> bool:
    wishes = (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken"))
    return next((wish for wish in wishes if isinstance(wish, bool)), True)


def _mount_token(request: Request, spec: Json) -> None:
    names = [str(volume.get("name", "")) for volume in items(spec, "volumes")]
    existing = [name for name in names if name.startswith(_VOLUME)]
    name = existing[0] if existing else _VOLUME + name_suffix(request.random)
    used = False
    for container in items(spec, "initContainers") + items(spec, "containers"):
        if any(mount.get("mountPath") == MOUNT_PATH for mount in items(container, "volumeMounts")):
            continue
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*items(container, "volumeMounts"), mount]
        used = True
    if used and not existing:
        spec["volumes"] = [*items(spec, "volumes"), _volume(name)]


def _volume(name: str) -> Json:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _EXPIRATION, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
