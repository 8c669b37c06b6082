"""Service account tokens: what is claimed, how it is written, whom it proves.

Source: kubernetes `pkg/serviceaccount/{claims,jwt}.go`, `pkg/registry/core/serviceaccount/storage/token.go`,
`pkg/apis/authentication/validation`. The signature is Ed25519 (RFC 8037), which is the same each time for the same key.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, Final

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.times import SECOND, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import objects
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import SignToken
from podwire.services.apiserver.core.errors import FieldErrors, bad_request, conflict, forbidden, invalid, not_found
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.store import Store
from podwire.services.chassis.chance import uuid4

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
GROUP: Final = "system:serviceaccounts"
_SHORTEST: Final = 600
_LONGEST: Final = 1 << 32
_USUAL: Final = 3600
_HEADER: Final = {"alg": "EdDSA", "typ": "JWT"}
_LARGEST: Final = 8192
_DEFINITION: Final = "io.k8s.api.authentication.v1.TokenRequest"

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class InvalidToken(Exception):
    """A token that proves nothing; says why."""


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise InvalidToken("the token is not base64url") from None


def write(claims: Json, sign: Sign) -> str:
    """A JSON Web Token in compact form (RFC 7515)."""
    parts = [json.dumps(part, separators=(",", ":"), sort_keys=True).encode() for part in (_HEADER, claims)]
    text = ".".join(_encoded(part) for part in parts)
    return f"{text}.{_encoded(sign(text.encode()))}"


def read(token: str, verify: Verify) -> Json:
    """The claims of a token that was signed here. Raises InvalidToken."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii() or len(token) > _LARGEST:
        raise InvalidToken("invalid bearer token")
    header, claims = (_object(_decoded(part)) for part in parts[:2])
    signed = f"{parts[0]}.{parts[1]}".encode()
    if header.get("alg") != _HEADER["alg"] or not verify(_decoded(parts[2]), signed):
        raise InvalidToken("invalid bearer token")
    return claims


def _object(data: bytes) -> Json:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidToken("invalid bearer token") from None
    if not isinstance(value, dict):
        raise InvalidToken("invalid bearer token")
    return value


def request_token(request: Request, account: Json) -> SignToken:
    """TokenRequest (`serviceaccounts/token`). Raises ApiError."""
    value = objects.decode(request, request.body, [], _DEFINITION)
    spec = section(value, "spec")
    spec["audiences"] = items(spec, "audiences") or [ISSUER]
    spec.setdefault("expirationSeconds", _USUAL)
    _check_spec(request, spec)
    meta = account["metadata"]
    own = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
    bound = _bound(request, section(spec, "boundObjectRef"), meta["name"]) if spec.get("boundObjectRef") else {}
    if request.who.component == "node" and "pod" not in bound:
        raise forbidden("", "serviceaccounts", meta["name"], "node requested token not bound to a pod")
    now, lifetime = request.now // SECOND, spec["expirationSeconds"]
    claims = {
        "aud": spec["audiences"],
        "exp": now + lifetime,
        "iat": now,
        "iss": ISSUER,
        "jti": uuid4(request.random),
        "kubernetes.io": own | bound,
        "nbf": now,
        "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
    }
    result = copy_json(value) | {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
    result["metadata"] = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "creationTimestamp": rfc3339(request.now),
    }
    result["status"] = {"token": "", "expirationTimestamp": rfc3339((now + lifetime) * SECOND)}
    return SignToken(claims, result)


def _check_spec(request: Request, spec: Json) -> None:
    errors, seconds = FieldErrors(), spec["expirationSeconds"]
    if seconds < _SHORTEST:
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    elif seconds > _LONGEST:
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if errors.found:
        raise invalid("authentication.k8s.io", "TokenRequest", request.target.name, errors.found)


def _bound(request: Request, reference: Json, account: str) -> Json:
    """The claims about what the token is bound to. Raises ApiError 400, 403, 404 or 409."""
    kind, name, uid = reference.get("kind", ""), reference.get("name", ""), reference.get("uid", "")
    resources = {"Pod": "pods", "Secret": "secrets"}
    if kind not in resources:
        raise bad_request(f"cannot bind token for serviceaccount {json.dumps(account)} to {kind or 'nothing'}")
    found = request.store.get(ObjectKey("", resources[kind], request.target.namespace, name))
    if found is None:
        raise not_found("", resources[kind], name)
    if uid and found["metadata"]["uid"] != uid:
        why = f"the UID in the bound object reference ({uid}) does not match the UID in record. "
        raise conflict("", resources[kind], name, why + "The object might have been deleted and then recreated")
    claim = {kind.lower(): {"name": name, "uid": found["metadata"]["uid"]}}
    return claim | (_pod_claims(request, found, account) if kind == "Pod" else {})


def _pod_claims(request: Request, pod: Json, account: str) -> Json:
    spec, node = section(pod, "spec"), section(pod, "spec").get("nodeName", "")
    if spec.get("serviceAccountName") != account:
        text = f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        raise bad_request(text)
    if request.who.component == "node" and node != request.who.node:
        why = "node requested token bound to a pod scheduled on a different node"
        raise forbidden("", "serviceaccounts", account, why)
    found = request.store.get(ObjectKey("", "nodes", "", node))
    return {"node": {"name": node, "uid": found["metadata"]["uid"]}} if found is not None else {}


# -- whom a token proves


def authenticate(
    claims: Json, store: Store, now: int, audiences: tuple[str, ...] = (ISSUER,)
) -> tuple[Requester, Json]:
    """The account behind a token's claims, and what else is known of it. Raises InvalidToken."""
    own = section(claims, "kubernetes.io")
    namespace, account = own.get("namespace"), section(own, "serviceaccount")
    _check_times(claims, now // SECOND)
    if claims.get("iss") != ISSUER or not any(name in items(claims, "aud") for name in audiences):
        raise InvalidToken(f"token audiences {claims.get('aud')} is invalid for the target audiences {list(audiences)}")
    if not isinstance(namespace, str) or not isinstance(account.get("name"), str):
        raise InvalidToken("the token names no service account")
    _check_there(store, "serviceaccounts", namespace, account)
    for kind in ("pod", "secret"):
        if kind in own:
            _check_there(store, f"{kind}s", namespace, section(own, kind))
    user = f"system:serviceaccount:{namespace}:{account['name']}"
    groups = (GROUP, f"{GROUP}:{namespace}", "system:authenticated")
    info = _user_info(claims, own, user, groups)
    extra = tuple((name, tuple(values)) for name, values in info["extra"].items())
    return Requester(user, groups, info["uid"], extra), info


def _user_info(claims: Json, own: Json, user: str, groups: tuple[str, ...]) -> Json:
    extra: dict[str, Any] = {"authentication.kubernetes.io/credential-id": [f"JTI={claims.get('jti', '')}"]}
    for kind in ("node", "pod"):
        for key in ("name", "uid"):
            if kind in own:
                extra[f"authentication.kubernetes.io/{kind}-{key}"] = [str(section(own, kind).get(key, ""))]
    uid = section(own, "serviceaccount").get("uid", "")
    return {"username": user, "uid": uid, "groups": list(groups), "extra": extra}


def _check_times(claims: Json, now: int) -> None:
    end, start = claims.get("exp"), claims.get("nbf")
    if not isinstance(end, int) or not isinstance(start, int) or now >= end:
        raise InvalidToken("service account token has expired")
    if now < start:
        raise InvalidToken("service account token is not valid yet")


def _check_there(store: Store, resource: str, namespace: str, reference: Json) -> None:
    found = store.get(ObjectKey("", resource, namespace, str(reference.get("name"))))
    if found is None or found["metadata"].get("uid") != reference.get("uid"):
        raise InvalidToken("service account token has been invalidated")
