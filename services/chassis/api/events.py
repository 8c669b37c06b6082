"""Recording Events: the same thing said again raises a count (client-go's EventRecorder)."""

from dataclasses import dataclass
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.times import rfc3339
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.chance import hexadecimal
from podwire.services.chassis.context import Context

_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class About:
    """The object that an Event is about."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    api_version: str = "v1"
    field_path: str = ""


class EventRecorder:
    """Writes Events of one component; what cannot be written is dropped, as the real recorder does."""

    def __init__(self, context: Context, client: ApiClient, component: str) -> None:
        self._context, self._client, self._component = context, client, component
        self._known: dict[tuple[About, str, str], tuple[str, int]] = {}

    def record(self, about: About, reason: str, message: str, warning: bool = False) -> None:
        """Writes in the background."""
        work = self._write(about, reason, message, "Warning" if warning else "Normal")
        self._context.tasks.start(work, name=f"event {reason}")

    async def _write(self, about: About, reason: str, message: str, kind: str) -> None:
        namespace = about.namespace or "default"
        said = (about, reason, message)
        name, count = self._known.get(said, ("", 0))
        now = rfc3339(self._context.clock.now_ns())
        name = name or f"{about.name}.{hexadecimal(self._context.random, 16)}"
        self._known[said] = (name, count + 1)
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        try:
            if count:
                patch = {"count": count + 1, "lastTimestamp": now}
                await self._client.patch(resources.EVENTS, namespace, name, patch)
            else:
                body = self._body(about, reason, message, kind, name, now)
                await self._client.create(resources.EVENTS, namespace, body)
        except (ApiError, ApiUnavailable) as error:
            self._known.pop(said, None)
            self._context.log.debug("an Event was lost", reason=reason, cause=str(error))

    def _body(self, about: About, reason: str, message: str, kind: str, name: str, now: str) -> dict[str, object]:
        involved = {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
            "fieldPath": about.field_path,
        }
        return {
            "metadata": {"name": name, "namespace": about.namespace or "default"},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": reason,
            "message": message,
            "type": kind,
            "source": {"component": self._component, "host": self._context.node},
            "reportingComponent": self._component,
            "reportingInstance": self._context.node,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
