"""CustomResourceDefinitions: there are none, and none can be made yet.

kubectl 1.30 and newer list them when OpenAPI does not know a kind, before they say so (cli-runtime
`resource/crd_finder.go`); they are not in discovery.
"""

from typing import Final

from podwire.services.apiserver.core.authorization import Attributes, Requester, authorize
from podwire.services.apiserver.core.decisions import Answer, json_answer
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.store import Store

_GROUP: Final = "apiextensions.k8s.io"
_RESOURCE: Final = "customresourcedefinitions"
PATH: Final = f"/apis/{_GROUP}/v1/{_RESOURCE}"


def answer(method: str, who: Requester, store: Store) -> Answer:
    """The empty list. Raises ApiError 403, or 501 for anything but GET."""
    if method != "GET":
        raise ApiError(501, "NotImplemented", f"podwire does not build {_RESOURCE}.{_GROUP}")
    authorize(who, Attributes("list", _GROUP, _RESOURCE, "", "", ""), None, None, store)
    meta = {"resourceVersion": str(store.revision)}
    body = {"kind": "CustomResourceDefinitionList", "apiVersion": f"{_GROUP}/v1", "metadata": meta, "items": []}
    return json_answer(body)
