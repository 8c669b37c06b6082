"""Errors as Kubernetes says them: a Status object with code, reason, message and details.

Source: apimachinery `api/errors/errors.go` (messages) and `util/validation/field/errors.go` (causes).
"""

from dataclasses import dataclass, field

from podwire.services.apiserver.core.json_types import Json


class ApiError(Exception):
    """A refused request; `status()` is the body that the client sees."""

    def __init__(
        self, code: int, reason: str, message: str, details: Json | None = None, metadata: Json | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.metadata = metadata or {}

    def status(self) -> Json:
        """The metav1.Status object."""
        body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field: its path, the cause's reason, and the text after the path."""

    path: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


@dataclass(slots=True)
class FieldErrors:
    """Collects field errors in the order in which they are found."""

    found: list[FieldError] = field(default_factory=list)

    def required(self, path: str, detail: str = "") -> None:
        """A value is missing."""
        self._add(path, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))

    def invalid(self, path: str, value: object, detail: str) -> None:
        """A value is not acceptable."""
        self._add(path, "FieldValueInvalid", f"Invalid value: {show(value)}: {detail}")

    def unsupported(self, path: str, value: object, supported: list[str]) -> None:
        """A value is not one of an enumeration."""
        choices = ", ".join(f'"{choice}"' for choice in supported)
        self._add(path, "FieldValueNotSupported", f"Unsupported value: {show(value)}: supported values: {choices}")

    def duplicate(self, path: str, value: object) -> None:
        """A value stands twice where it must be unique."""
        self._add(path, "FieldValueDuplicate", f"Duplicate value: {show(value)}")

    def forbidden(self, path: str, detail: str) -> None:
        """A value may not be set here."""
        self._add(path, "FieldValueForbidden", f"Forbidden: {detail}")

    def not_found(self, path: str, value: object) -> None:
        """A value refers to nothing."""
        self._add(path, "FieldValueNotFound", f"Not found: {show(value)}")

    def too_long(self, path: str, limit: int) -> None:
        """A value has too many bytes."""
        self._add(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")

    def type_invalid(self, path: str, value: object, detail: str) -> None:
        """A value is of another type, or not of its format."""
        self._add(path, "FieldValueTypeInvalid", f"Invalid value: {show(value)}: {detail}")

    def too_many(self, path: str, count: int, limit: int) -> None:
        """A list or map has too many entries."""
        self._add(path, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")

    def has(self, path: str) -> bool:
        """Whether something was already found at a path."""
        return any(error.path == path for error in self.found)

    def _add(self, path: str, reason: str, detail: str) -> None:
        self.found.append(FieldError(path, reason, detail))


def show(value: object) -> str:
    """A value as Go's field errors print it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        from podwire.services.apiserver.core.json_types import to_json

        return to_json(value).decode()
    return str(value)


def qualified(group: str, resource: str) -> str:
    """`deployments.apps`, or `pods` for the core group."""
    return f"{resource}.{group}" if group else resource


def _details(group: str, resource: str, name: str) -> Json:
    details: Json = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if resource:
        details["kind"] = resource
    return details


def not_found(group: str, resource: str, name: str) -> ApiError:
    """404 of one object."""
    message = f'{qualified(group, resource)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(group, resource, name))


def no_such_path() -> ApiError:
    """404 of a path or kind that the server does not serve."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(group: str, resource: str, name: str) -> ApiError:
    """409 of a taken name."""
    message = f'{qualified(group, resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str = "") -> ApiError:
    """409 of a stale resourceVersion or a broken precondition."""
    cause = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {qualified(group, resource)} "{name}": {cause}'
    return ApiError(409, "Conflict", message, _details(group, resource, name))


def invalid(group: str, kind: str, name: str, errors: list[FieldError]) -> ApiError:
    """422 with one cause per field."""
    title = f"{kind}.{group}" if group else kind
    texts = [str(error) for error in errors]
    summary = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details = _details(group, kind, name)
    details["causes"] = [{"reason": error.reason, "message": error.detail, "field": error.path} for error in errors]
    return ApiError(422, "Invalid", f'{title} "{name}" is invalid: {summary}', details)


def invalid_options(method: str, errors: list[FieldError]) -> ApiError:
    """422 of a query: what is invalid are the options of a write (`meta/v1/validation/validation.go`)."""
    kind = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(method, "PatchOptions")
    return invalid("meta.k8s.io", kind, "", errors)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, resource: str, name: str, why: str) -> ApiError:
    """403 with upstream's lead-in."""
    message = f'{qualified(group, resource)} "{name}" is forbidden: {why}'
    if not name:
        message = f"{qualified(group, resource)} is forbidden: {why}"
    return ApiError(403, "Forbidden", message, _details(group, resource, name))


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def expired(requested: int, oldest: int) -> ApiError:
    """410: the watch's start is before what history is kept."""
    return ApiError(410, "Expired", f"too old resource version: {requested} ({oldest})")


def unsupported_media(given: str, accepted: list[str]) -> ApiError:
    """415 that says what is accepted."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
        + f" (given: {given})"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: list[str]) -> ApiError:
    """406 that says what can be served."""
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return ApiError(406, "NotAcceptable", message)


def too_large() -> ApiError:
    """413 of a body over the limit."""
    return ApiError(413, "RequestEntityTooLarge", "limit is 3145728")


def internal(message: str) -> ApiError:
    """500."""
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")


def unavailable(message: str) -> ApiError:
    """503."""
    return ApiError(503, "ServiceUnavailable", message)
