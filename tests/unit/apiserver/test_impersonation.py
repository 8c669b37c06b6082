"""Acting as somebody else: who is evaluated, who may, and upstream's words where one may not."""

from typing import Any

import pytest

from podwire.services.apiserver.core import impersonation
from podwire.services.apiserver.core.authorization import MASTERS, Attributes, Requester, judge
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.impersonation import Impersonation

ADMIN = Requester("admin", (MASTERS,))
ACCOUNTS = ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
RBAC = "rbac.authorization.k8s.io"

EVALUATED = [
    ({"Impersonate-User": "nobody"}, "nobody", ("system:authenticated",)),
    ({"impersonate-user": "system:serviceaccount:ns:a"}, "system:serviceaccount:ns:a", ACCOUNTS),
    (
        {"Impersonate-User": "system:serviceaccount:ns:a", "Impersonate-Group": "g"},
        "system:serviceaccount:ns:a",
        ("g", "system:authenticated"),
    ),
    ({"Impersonate-User": "system:anonymous"}, "system:anonymous", ("system:unauthenticated",)),
    ({"Impersonate-User": "a", "Impersonate-Group": "system:unauthenticated"}, "a", ("system:unauthenticated",)),
    ({"Impersonate-User": "a", "Impersonate-Uid": "1", "Impersonate-Extra-a%2Fb": "x"}, "a", ("system:authenticated",)),
]


@pytest.mark.parametrize(("headers", "user", "groups"), EVALUATED)
def test_who_is_evaluated(server: Any, headers: dict[str, str], user: str, groups: tuple[str, ...]) -> None:
    wanted = impersonation.read(headers.items())
    assert wanted is not None
    acting = impersonation.act(ADMIN, wanted, server.store)
    assert (acting.user, acting.groups) == (user, groups)


def test_nothing_is_asked_for() -> None:
    assert impersonation.read([("Accept", "*/*"), ("Impersonate-User", "")]) is None


@pytest.mark.parametrize("header", ["Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-scopes"])
def test_a_user_is_needed(header: str) -> None:
    with pytest.raises(ApiError, match=r"requested \[x\] without impersonating a user") as refused:
        impersonation.read([(header, "x")])
    assert refused.value.code == 500


REFUSED = [
    (Impersonation("bob"), 'users "bob" is forbidden: User "ann" cannot impersonate resource "users" in API group "" '),
    (Impersonation("joe", ("g",)), 'groups "g" is forbidden: User "ann" cannot impersonate resource "groups"'),
    (Impersonation("joe", uid="1"), 'uids.authentication.k8s.io "1" is forbidden'),
    (Impersonation("joe", extra=(("scopes", "x"),)), 'cannot impersonate resource "userextras/scopes" in API group'),
    (
        Impersonation("system:serviceaccount:ns:a"),
        'serviceaccounts "a" is forbidden: User "ann" cannot impersonate resource "serviceaccounts" in API group "" '
        'in the namespace "ns"',
    ),
]


@pytest.fixture
def ann(server: Any) -> Requester:
    """May act as the user joe, and nothing else."""
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "joe"}}
    rule = {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["joe"]}
    server.create(f"/apis/{RBAC}/v1/clusterroles", role | {"rules": [rule]})
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "joe"}}
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "joe"}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": "ann"}]
    server.create(f"/apis/{RBAC}/v1/clusterrolebindings", binding | {"roleRef": reference, "subjects": subjects})
    return Requester("ann", ("system:authenticated",))


@pytest.mark.parametrize(("wanted", "says"), REFUSED)
def test_who_may_not(server: Any, ann: Requester, wanted: Impersonation, says: str) -> None:
    with pytest.raises(ApiError) as refused:
        impersonation.act(ann, wanted, server.store)
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
    assert says in refused.value.message


def test_who_may_loses_what_it_had(server: Any, ann: Requester) -> None:
    joe = impersonation.act(ann, Impersonation("joe"), server.store)
    assert joe.user == "joe"
    extra = (("scopes", "a"), ("team", "x"), ("scopes", "b"))
    wanted = Impersonation("joe", ("devs",), "u-1", extra)
    told = impersonation.act(ADMIN, wanted, server.store)
    assert (told.uid, told.extra) == ("u-1", (("scopes", ("a", "b")), ("team", ("x",))))
    reads = Attributes("list", "", "pods", "", "default", "")
    nobody = impersonation.act(ADMIN, Impersonation("nobody"), server.store)
    assert judge(ADMIN, reads, server.store)[0] and not judge(nobody, reads, server.store)[0]
