"""Fetching what a pod refers to: ConfigMaps, Secrets, bound claims, tokens of its service account."""

from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.meta import ConfigMap, Secret
from podwire.proto.kube.network import Service
from podwire.proto.kube.resources import Resource
from podwire.proto.kube.volume import PersistentVolume, PersistentVolumeClaim
from podwire.proto.messages import codec
from podwire.services.chassis.api.client import ApiError
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.references import CannotConfigure, References, names
from podwire.services.kubelet.surroundings import PodView, Surroundings

_LONGEST_USE: Final = 24 * 3600 * SECOND


class Lookups:
    """Everything that one pod refers to, fetched when it is asked for; tokens are kept until they grow old."""

    def __init__(self, around: Surroundings, view: PodView) -> None:
        self._around, self._view = around, view
        self._tokens: dict[tuple[str, int], tuple[str, int]] = {}

    async def references(self) -> References:
        """The objects that exist; one that does not is left out. Raises ApiError, ApiUnavailable, CannotConfigure."""
        wanted = names(self._view.pod)
        claims = await self._all(resources.VOLUME_CLAIMS, wanted.claims, PersistentVolumeClaim)
        return References(
            config_maps=await self._all(resources.CONFIG_MAPS, wanted.config_maps, ConfigMap),
            secrets=await self._all(resources.SECRETS, wanted.secrets, Secret),
            services=self._seen_services(),
            claims=claims,
            volumes=await self._volumes(claims),
            tokens={key: await self._token(*key) for key in wanted.tokens},
        )

    async def _all[T](self, resource: Resource, wanted: tuple[str, ...], view: type[T]) -> dict[str, T]:
        found = {}
        for name in wanted:
            value = await self._get(resource, self._view.pod.metadata.namespace, name)
            if value is not None:
                found[name] = codec.decode(view, codec.encode(value))
        return found

    async def _volumes(self, claims: dict[str, PersistentVolumeClaim]) -> dict[str, PersistentVolume]:
        found = {}
        for name, claim in claims.items():
            value = None
            if claim.spec.volume_name:
                value = await self._get(resources.VOLUMES, "", claim.spec.volume_name)
            if value is not None:
                found[name] = codec.decode(PersistentVolume, codec.encode(value))
        return found

    async def _get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self._around.client.get(resource, namespace, name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def _seen_services(self) -> tuple[Service, ...]:
        """The API server's Service, and those of the pod's namespace unless enableServiceLinks is off
        (pkg/kubelet/kubelet_pods.go, getServiceEnvVarMap)."""
        pod = self._view.pod
        own = pod.metadata.namespace
        seen = sorted(self._around.services.objects.items())
        api = [entry for key, entry in seen if (key.namespace, key.name) == ("default", "kubernetes")]
        linked = [entry for key, entry in seen if key.namespace == own and pod.spec.enable_service_links]
        return (*api, *(entry for entry in linked if entry not in api))

    # -- tokens

    async def _token(self, audience: str, seconds: int) -> str:
        """A token that is young enough: asked for anew after 80 % of its life, or a day (pkg/kubelet/token)."""
        now = self._around.context.clock.now_ns()
        token, until = self._tokens.get((audience, seconds), ("", 0))
        if not token or now >= until:
            token = await self._ask_for_token(audience, seconds)
            self._tokens[audience, seconds] = (token, now + min(seconds * SECOND * 8 // 10, _LONGEST_USE))
        return token

    async def _ask_for_token(self, audience: str, seconds: int) -> str:
        pod = self._view.pod
        account = pod.spec.service_account_name or "default"
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod.metadata.name, "uid": self._view.mirror_uid}
        spec = {
            "audiences": [audience] if audience else [],
            "expirationSeconds": seconds,
            "boundObjectRef": bound,
        }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = resources.SERVICE_ACCOUNTS.path(pod.metadata.namespace, account, "token")
        try:
            answer = await self._around.client.call("POST", path, body)
        except ApiError as error:
            if error.code == 404 and str(error).startswith("pods "):
                raise  # the log has told us of the pod before the API server's own fold has it
            raise CannotConfigure(f"failed to fetch token: {error}") from None
        return str((answer.get("status") or {}).get("token", ""))
