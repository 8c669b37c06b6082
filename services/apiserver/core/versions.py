"""Which state a read asks for: `resourceVersion`, `resourceVersionMatch`, `sendInitialEvents`, `continue`.

Source: apimachinery `apis/meta/internalversion/validation/validation.go`, apiserver `storage/errors.go`, the API
concepts page ("Semantics for get and list").
"""

from typing import Final, NamedTuple

from podwire.services.apiserver.core.errors import ApiError, FieldErrors, bad_request, invalid
from podwire.services.apiserver.core.request import Request

EXACT: Final = "Exact"
NOT_OLDER: Final = "NotOlderThan"
_MATCHES: Final = [EXACT, NOT_OLDER]


class Wanted(NamedTuple):
    """The revision that is asked for (0: any), and whether exactly it."""

    revision: int
    exact: bool


def of_get(request: Request) -> Wanted:
    """What a GET of one object asks for; raises ApiError 400 or 504."""
    return Wanted(_reachable(request), False)


def of_list(request: Request) -> Wanted:
    """What a list asks for; raises ApiError 400, 422 or 504."""
    given, match = request.query.get("resourceVersion", ""), request.query.get("resourceVersionMatch", "")
    errors = FieldErrors()
    if "sendInitialEvents" in request.query:
        errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if match:
        _check_match(request, given, match, errors)
    _refuse(errors)
    if given and request.query.get("continue"):
        raise bad_request("specifying resource version is not allowed when using continue")
    revision = _reachable(request)
    legacy = not match and revision > 0 and bool(request.number("limit"))
    return Wanted(revision, match == EXACT or legacy)


def of_watch(request: Request) -> Wanted:
    """Where a watch starts; raises ApiError 400, 422 or 504."""
    match, initial = request.query.get("resourceVersionMatch", ""), request.query.get("sendInitialEvents")
    errors = FieldErrors()
    if match and initial is None:
        text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.forbidden("resourceVersionMatch", text)
    if initial is not None and match != NOT_OLDER:
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.forbidden("resourceVersionMatch", text)
    _refuse(errors)
    return Wanted(_reachable(request), False)


def too_large(revision: int, current: int) -> ApiError:
    """504: a revision that does not exist yet."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    text = f"Timeout: Too large resource version: {revision}, current: {current}"
    return ApiError(504, "Timeout", text, details)


def asked_revision(query: dict[str, str]) -> int:
    """The revision in a query as it stands there; 0 for none or for text that is none."""
    given = query.get("resourceVersion", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 18 else 0


def _check_match(request: Request, given: str, match: str, errors: FieldErrors) -> None:
    if request.query.get("continue"):
        errors.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden for continue")
    if not given:
        errors.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match not in _MATCHES:
        errors.unsupported("resourceVersionMatch", match, [*_MATCHES, ""])
    elif match == EXACT and given == "0":
        errors.forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


def _refuse(errors: FieldErrors) -> None:
    if errors.found:
        raise invalid("meta.k8s.io", "ListOptions", "", errors.found)


def _reachable(request: Request) -> int:
    given = request.query.get("resourceVersion", "")
    revision = asked_revision(request.query)
    if given and not revision and given != "0":
        raise bad_request(f'invalid resource version "{given}": strconv.ParseUint: parsing "{given}": invalid syntax')
    if revision > request.store.revision:
        raise too_large(revision, request.store.revision)
    return revision
