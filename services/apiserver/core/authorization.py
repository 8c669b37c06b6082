"""Who may do what: a table for podwire's own components (as the Node authorizer is), RBAC for everybody else.

Source: kubernetes `plugin/pkg/auth/authorizer`, `apiserver/pkg/endpoints/handlers/responsewriters/errors.go`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import section
from podwire.services.apiserver.core import rbac
from podwire.services.apiserver.core.errors import ApiError, forbidden
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.store import Store

MASTERS: Final = "system:masters"
READS: Final = ("get", "list", "watch")
_WRITES: Final = ("create", "update", "patch")


@dataclass(frozen=True, slots=True)
class Requester:
    """An authenticated user and its groups; `uid` and `extra` are only told."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def component(self) -> str:
        """`node` of `system:node:node-1`; "" for users that are no component."""
        parts = self.user.split(":")
        return parts[1] if len(parts) > 1 and parts[0] == "system" else ""

    @property
    def node(self) -> str:
        """The node that a per-node component belongs to."""
        parts = self.user.split(":", 2)
        return parts[2] if len(parts) == 3 else ""


class Attributes(NamedTuple):
    """What is asked: verb, group, resource with subresource, namespace, name."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str

    @property
    def target(self) -> str:
        """`pods` or `pods/status`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Rule(NamedTuple):
    """Verbs on resources; `own` limits the rule to the component's own node."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    own: str = ""


_EVENTS: Final = Rule(_WRITES, ("events",))
_READ: Final = Rule(READS, ("*",))
_OWN_NODE: Final = Rule(("patch",), ("nodes", "nodes/status"), own="name")
_ALL: Final = Rule(("*",), ("*",))
RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "apiserver": (_ALL,),
    "kube-controllers": (_ALL,),
    "kube-controller-manager": (_ALL,),
    "kube-scheduler": (
        _READ,
        _EVENTS,
        Rule(("create",), ("pods/binding",)),
        Rule(("update", "patch"), ("pods/status",)),
        Rule(("patch",), ("persistentvolumeclaims",)),
        Rule(_WRITES, ("leases",)),
    ),
    "node": (
        _READ,
        _EVENTS,
        Rule(("create",), ("nodes",), own="body"),
        Rule(("update", "patch"), ("nodes", "nodes/status"), own="name"),
        Rule(("create",), ("leases",), own="body"),
        Rule(("update", "patch"), ("leases",), own="name"),
        Rule(("create", "delete"), ("pods",), own="pod"),
        Rule(("update", "patch"), ("pods/status",), own="pod"),
        Rule(("create",), ("serviceaccounts/token",)),
    ),
    "kube-proxy": (_READ, _EVENTS),
    "cni": (_READ, _EVENTS, _OWN_NODE),
    "flannel": (_READ, _EVENTS, _OWN_NODE),
    "kube-flannel": (_READ, _EVENTS, _OWN_NODE),
    "coredns": (_READ, _EVENTS),
    "recorder": (_READ,),
    "outside": (_READ,),
    "cloud-provider": (_READ, _EVENTS, Rule(("update", "patch"), ("services/status",))),
    "chaos-controller-manager": (
        _READ,
        _EVENTS,
        Rule(("delete", "patch"), ("pods",)),
        Rule(("create", "delete", "patch"), ("networkchaos", "podchaos", "dnschaos", "timechaos", "schedules")),
    ),
    "operator": (_ALL,),
}


def authorize(who: Requester, what: Attributes, existing: Json | None, body: Json | None, store: Store) -> None:
    """Raises ApiError 403 unless a rule allows the request."""
    if who.component in RULES:
        if any(_allows(rule, who, what, existing, body) for rule in RULES[who.component]):
            return
        raise denied(who, what)
    if not judge(who, what, store)[0]:
        raise denied(who, what)


def judge(who: Requester, what: Attributes, store: Store) -> tuple[bool, str]:
    """Whether a user may do something, and by which binding."""
    if MASTERS in who.groups:
        return True, ""
    if who.component in RULES:
        return any(_allows(rule, who, what, None, None) for rule in RULES[who.component]), ""
    question = rbac.Question(what.verb, what.group, what.target, what.name)
    return _granted(who, what.namespace, question, store)


def judge_path(who: Requester, verb: str, path: str, store: Store) -> tuple[bool, str]:
    """The same for a path that is no resource."""
    if MASTERS in who.groups:
        return True, ""
    return _granted(who, "", rbac.Question(verb, path=path), store)


def _granted(who: Requester, namespace: str, question: rbac.Question, store: Store) -> tuple[bool, str]:
    grant = rbac.decide(rbac.Subject(who.user, who.groups), namespace, question, store)
    return (False, "") if grant is None else (True, grant.reason)


def _allows(rule: Rule, who: Requester, what: Attributes, existing: Json | None, body: Json | None) -> bool:
    if not (_matches(rule.verbs, what.verb) and _matches(rule.resources, what.target)):
        return False
    if what.resource == "secrets" and who.component not in ("node", "apiserver", "kube-controllers"):
        return rule is _ALL
    if rule.own == "name":
        return what.name == who.node
    if rule.own == "body":
        return section(body or {}, "metadata").get("name") == who.node
    if rule.own == "pod":
        subject = body if what.verb == "create" else existing
        return subject is None or section(subject, "spec").get("nodeName") == who.node
    return True


def _matches(allowed: tuple[str, ...], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed


def denied(who: Requester, what: Attributes) -> ApiError:
    """403 in upstream's words."""
    scope = f'in the namespace "{what.namespace}"' if what.namespace else "at the cluster scope"
    text = f'User "{who.user}" cannot {what.verb} resource "{what.target}" in API group "{what.group}" {scope}'
    return forbidden(what.group, what.resource, what.name, text)
