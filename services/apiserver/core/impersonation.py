"""Acting as somebody else: the headers `Impersonate-*`, and whether the requester may.

Source: apiserver `endpoints/filters/impersonation.go`, `authentication/serviceaccount/util.go`.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote

from podwire.services.apiserver.core.authorization import Attributes, Requester, denied, judge
from podwire.services.apiserver.core.errors import internal
from podwire.services.apiserver.core.store import Store

_EXTRA: Final = "impersonate-extra-"
_AUTHENTICATION: Final = "authentication.k8s.io"
_ACCOUNT: Final = "system:serviceaccount:"
_ANONYMOUS: Final = "system:anonymous"
_AUTHENTICATED: Final = "system:authenticated"
_UNAUTHENTICATED: Final = "system:unauthenticated"


class Impersonation(NamedTuple):
    """Whom a request wants to act as."""

    user: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    """Names, in lower case, with a value each."""


def read(headers: Iterable[tuple[str, str]]) -> Impersonation | None:
    """What the headers ask for, None for nothing. Raises ApiError 500 for a group, uid or extra without a user."""
    user, groups, uid, extra = "", [], "", []
    for name, value in headers:
        match name.lower():
            case "impersonate-user":
                user = value
            case "impersonate-group":
                groups.append(value)
            case "impersonate-uid":
                uid = value
            case lower if lower.startswith(_EXTRA):
                extra.append((unquote(lower.removeprefix(_EXTRA)), value))
    wanted = Impersonation(user, tuple(groups), uid, tuple(extra))
    if wanted == Impersonation():
        return None
    if not user:
        named = [*groups, *([uid] if uid else []), *(value for _, value in extra)]
        raise internal(f"requested [{' '.join(named)}] without impersonating a user")
    return wanted


def act(who: Requester, wanted: Impersonation, store: Store) -> Requester:
    """The requester as whom the request goes on. Raises ApiError 403 for the first part that is not allowed."""
    for asked in _asked(wanted):
        if not judge(who, asked, store)[0]:
            raise denied(who, asked)
    groups = list(wanted.groups)
    account = _account(wanted.user)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    everybody = _UNAUTHENTICATED if wanted.user == _ANONYMOUS else _AUTHENTICATED
    if _AUTHENTICATED not in groups and _UNAUTHENTICATED not in groups:
        groups.append(everybody)
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in wanted.extra:
        extra[name] = (*extra.get(name, ()), value)
    return Requester(wanted.user, tuple(groups), wanted.uid, tuple(extra.items()))


def _account(user: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user."""
    namespace, _, name = user.removeprefix(_ACCOUNT).partition(":")
    return (namespace, name) if user.startswith(_ACCOUNT) and namespace and name and ":" not in name else None


def _asked(wanted: Impersonation) -> list[Attributes]:
    account = _account(wanted.user)
    if account is not None:
        asked = [Attributes("impersonate", "", "serviceaccounts", "", *account)]
    else:
        asked = [Attributes("impersonate", "", "users", "", "", wanted.user)]
    asked += [Attributes("impersonate", "", "groups", "", "", group) for group in wanted.groups]
    asked += [Attributes("impersonate", _AUTHENTICATION, "userextras", name, "", value) for name, value in wanted.extra]
    if wanted.uid:
        asked.append(Attributes("impersonate", _AUTHENTICATION, "uids", "", "", wanted.uid))
    return asked
