"""Service accounts: which token volume a pod gets, what tokens claim, whom they prove and when they do not."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import ReviewToken, SignToken
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.tokens import ISSUER, InvalidToken
from podwire.services.apiserver.signing import TokenKey

SECOND = 1_000_000_000
KEY = TokenKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
PODS, ACCOUNTS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/serviceaccounts"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def account(server: Any, name: str = "default", **more: Any) -> Any:
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, **more}
    return server.create(ACCOUNTS, body)


def a_pod(name: str = "web", container: Any = None, **spec: Any) -> Any:
    main = {"name": "c", "image": "nginx", **(container or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [main], **spec}}


def mounts(pod: Any) -> list[str]:
    return [mount["mountPath"] for mount in pod["spec"]["containers"][0].get("volumeMounts", [])]


def test_a_pod_gets_its_account_s_token(server: Any) -> None:
    account(server)
    pod = server.create(PODS, a_pod())
    [volume] = pod["spec"]["volumes"]
    [mount] = pod["spec"]["containers"][0]["volumeMounts"]
    assert volume["name"].startswith("kube-api-access-") and volume["name"] == mount["name"]
    assert (mount["mountPath"], mount["readOnly"]) == (MOUNT, True)
    sources = [next(iter(source)) for source in volume["projected"]["sources"]]
    assert (pod["spec"]["serviceAccountName"], sources) == (
        "default",
        ["serviceAccountToken", "configMap", "downwardAPI"],
    )


@pytest.mark.parametrize(
    ("of_account", "pod", "expected"),
    [
        ({"automountServiceAccountToken": False}, a_pod(), []),
        ({"automountServiceAccountToken": False}, a_pod(automountServiceAccountToken=True), [MOUNT]),
        ({}, a_pod(automountServiceAccountToken=False), []),
    ],
)
def test_who_wants_no_token_gets_none(server: Any, of_account: Any, pod: Any, expected: list[str]) -> None:
    account(server, **of_account)
    assert mounts(server.create(PODS, pod)) == expected


def test_a_pod_of_an_account_that_is_not_there_is_refused(server: Any) -> None:
    code, answer = server.request("POST", PODS, a_pod(serviceAccountName="ghost"))
    text = 'pods "web" is forbidden: error looking up service account default/ghost: serviceaccount "ghost" not found'
    assert (code, answer["message"]) == (403, text)


# -- tokens


def ask(server: Any, who: Requester | None = None, **spec: Any) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    more = {} if who is None else {"who": who}
    decision = server.decide("POST", f"{ACCOUNTS}/default/token", body, **more)
    assert isinstance(decision, SignToken)
    return str(KEY.sign(decision)["status"]["token"])


def test_a_token_proves_its_account_until_it_expires(server: Any) -> None:
    account(server)
    token = ask(server, expirationSeconds=600)
    who = KEY.authenticate(token, server.store, server.now)
    assert who.user == "system:serviceaccount:default:default"
    assert who.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    [(name, [identity])] = who.extra
    assert who.uid and name == "authentication.kubernetes.io/credential-id" and identity.startswith("JTI=")
    with pytest.raises(InvalidToken, match="expired"):
        KEY.authenticate(token, server.store, server.now + 600 * SECOND)


def test_what_a_token_claims(server: Any) -> None:
    uid = account(server)["metadata"]["uid"]
    payload = ask(server).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    now = server.now // SECOND
    assert (claims["iss"], claims["aud"], claims["iat"], claims["exp"]) == (ISSUER, [ISSUER], now, now + 3600)
    assert claims["kubernetes.io"] == {"namespace": "default", "serviceaccount": {"name": "default", "uid": uid}}


def test_a_bound_token_goes_with_its_pod(server: Any) -> None:
    account(server)
    uid = server.create(PODS, a_pod())["metadata"]["uid"]
    token = ask(server, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": uid})
    assert KEY.authenticate(token, server.store, server.now).user == "system:serviceaccount:default:default"
    server.request("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 0})
    with pytest.raises(InvalidToken, match="invalidated"):
        KEY.authenticate(token, server.store, server.now)


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"expirationSeconds": 60}, 422, "may not specify a duration less than 10 minutes"),
        ({"boundObjectRef": {"kind": "Node", "name": "a"}}, 400, "cannot bind token"),
        ({"boundObjectRef": {"kind": "Pod", "name": "none"}}, 404, 'pods "none" not found'),
        ({"boundObjectRef": {"kind": "Pod", "name": "web", "uid": "x"}}, 409, "does not match the UID in record"),
    ],
)
def test_requests_that_are_refused(server: Any, spec: Any, code: int, message: str) -> None:
    account(server)
    server.create(PODS, a_pod())
    with pytest.raises(ApiError, match=message) as refused:
        ask(server, **spec)
    assert refused.value.code == code


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_a_kubelet_gets_tokens_of_its_own_pods_only(server: Any, node: str) -> None:
    account(server)
    server.create(PODS, a_pod(nodeName="node-1"))
    kubelet, bound = Requester(f"system:node:{node}"), {"kind": "Pod", "name": "web"}
    if node == "node-1":
        assert ask(server, kubelet, boundObjectRef=bound)
        return
    with pytest.raises(ApiError, match="scheduled on a different node"):
        ask(server, kubelet, boundObjectRef=bound)


def test_a_review_says_whom_a_token_proves(server: Any) -> None:
    account(server)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": ask(server)}}
    decision = server.decide("POST", REVIEWS, body)
    assert isinstance(decision, ReviewToken)
    status = KEY.review(decision, server.store, server.now)["status"]
    assert (status["authenticated"], status["user"]["username"], status["audiences"]) == (
        True,
        "system:serviceaccount:default:default",
        [ISSUER],
    )
    other = TokenKey(Ed25519PrivateKey.from_private_bytes(b"1" * 32))
    assert other.review(decision, server.store, server.now)["status"] == {"user": {}, "error": "invalid bearer token"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.tuples(*[st.binary(max_size=20)] * 3)))
def test_noise_proves_nothing(server: Any, noise: str | tuple[bytes, ...]) -> None:
    parts = noise if isinstance(noise, tuple) else ()
    text = noise if isinstance(noise, str) else ".".join(base64.urlsafe_b64encode(part).decode() for part in parts)
    with pytest.raises(InvalidToken):
        KEY.authenticate(text, server.store, server.now)


# -- debug containers

DEBUG = {"name": "d", "image": "busybox", "targetContainerName": "c"}
MERGE = "application/strategic-merge-patch+json"


def add(server: Any, container: Any) -> tuple[int, Any]:
    body = {"spec": {"ephemeralContainers": [container]}}
    found: tuple[int, Any] = server.request("PATCH", f"{PODS}/web/ephemeralcontainers", body, content_type=MERGE)
    return found


def test_debug_containers_are_only_added(server: Any) -> None:
    server.create(PODS, a_pod())
    assert add(server, DEBUG)[0] == 200
    assert [entry["name"] for entry in server.get(f"{PODS}/web")["spec"]["ephemeralContainers"]] == ["d"]
    code, answer = add(server, {**DEBUG, "image": "other"})
    assert code == 422 and "may not be changed" in answer["message"]


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({**DEBUG, "ports": [{"containerPort": 80}]}, "ports: Forbidden: cannot be set for an Ephemeral Container"),
        ({**DEBUG, "targetContainerName": "none"}, 'targetContainerName: Not found: "none"'),
        ({**DEBUG, "name": "c"}, 'Duplicate value: "c"'),
    ],
)
def test_debug_containers_that_are_refused(server: Any, container: Any, message: str) -> None:
    server.create(PODS, a_pod())
    code, answer = add(server, container)
    assert code == 422 and message in answer["message"]


def test_debug_containers_have_their_own_door(server: Any) -> None:
    server.create(PODS, a_pod())
    body = {"spec": {"ephemeralContainers": [DEBUG]}}
    code, answer = server.request("PATCH", f"{PODS}/web", body, content_type=MERGE)
    assert code == 422 and "pod updates may not change fields" in answer["message"]
