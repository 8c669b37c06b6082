"""Questions about access, answered at once: `kubectl auth can-i`, `auth can-i --list`, `auth whoami`.

Source: kubernetes `pkg/registry/authorization/*/rest.go`, `pkg/registry/authentication/selfsubjectreview/rest.go`.
"""

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core import authorization, rbac, schema
from podwire.services.apiserver.core.authorization import Attributes, Requester
from podwire.services.apiserver.core.decisions import Decision, ReviewToken, json_answer
from podwire.services.apiserver.core.errors import FieldErrors, bad_request, invalid
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.tokens import ISSUER


def answer(request: Request) -> Decision:
    """The answered question; raises ApiError 400 or 422 where it is none."""
    kind = request.kind
    try:
        value, _ = schema.decode_object(kind.definition, request.body)
    except schema.DecodeProblem as error:
        text = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
        raise bad_request(text) from None
    asked = value | {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": section(value, "metadata")}
    if kind.kind == "TokenReview":
        return _token(asked)
    if kind.kind == "SelfSubjectReview":
        return json_answer(asked | {"status": {"userInfo": _user_info(request.who)}}, 201)
    if kind.kind == "SelfSubjectRulesReview":
        return json_answer(asked | {"status": _rules(request, section(value, "spec"))}, 201)
    return json_answer(asked | {"status": _verdict(request, section(value, "spec"))}, 201)


def _token(asked: Json) -> ReviewToken:
    """Whom a token proves (`pkg/registry/authentication/tokenreview/storage.go`)."""
    spec = section(asked, "spec")
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    return ReviewToken(asked, spec["token"], tuple(items(spec, "audiences")) or (ISSUER,))


def _user_info(who: Requester) -> Json:
    told: Json = {"username": who.user, "groups": list(who.groups)}
    if who.uid:
        told["uid"] = who.uid
    if who.extra:
        told["extra"] = {name: list(values) for name, values in who.extra}
    return told


def _subject(request: Request, spec: Json) -> Requester:
    if request.kind.kind == "SelfSubjectAccessReview":
        return request.who
    user, groups = spec.get("user", ""), items(spec, "groups")
    if not user and not groups:
        errors = FieldErrors()
        errors.invalid("spec.user", "", "at least one of user or group must be specified")
        raise invalid(request.kind.group, request.kind.kind, "", errors.found)
    return Requester(user, tuple(groups))


def _verdict(request: Request, spec: Json) -> Json:
    asked, path = section(spec, "resourceAttributes"), section(spec, "nonResourceAttributes")
    if bool(asked) == bool(path):
        errors = FieldErrors()
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.invalid("spec.resourceAttributes", asked, text)
        raise invalid(request.kind.group, request.kind.kind, "", errors.found)
    who = _subject(request, spec)
    if path:
        allowed, reason = authorization.judge_path(who, path.get("verb", ""), path.get("path", ""), request.store)
    else:
        allowed, reason = authorization.judge(who, _attributes(asked), request.store)
    return {"allowed": allowed} | ({"reason": reason} if reason else {})


def _attributes(asked: Json) -> Attributes:
    return Attributes(
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
    )


def _rules(request: Request, spec: Json) -> Json:
    """Every rule that the requester has in a namespace."""
    namespace = spec.get("namespace", "")
    if not namespace:
        raise bad_request("no namespace on request")
    subject = rbac.Subject(request.who.user, request.who.groups)
    found = [grant.rule for grant in rbac.grants(subject, namespace, request.store)]
    return {
        "resourceRules": [rule for rule in found if items(rule, "resources")],
        "nonResourceRules": [rule for rule in found if items(rule, "nonResourceURLs")],
        "incomplete": False,
    }
