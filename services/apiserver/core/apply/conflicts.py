"""What an apply is told that would take fields from others.

Source: apimachinery `util/managedfields/internal/conflict.go`, `api/errors/errors.go` (NewApplyConflict).
"""

from podwire.services.apiserver.core.apply.elements import shown_path
from podwire.services.apiserver.core.apply.updater import Conflict
from podwire.services.apiserver.core.errors import ApiError


def refused(found: list[Conflict]) -> ApiError:
    """409 with one cause for each field."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {conflict.writer}",
            "field": shown_path(conflict.path),
        }
        for conflict in found
    ]
    return ApiError(409, "Conflict", _message(found), {"causes": causes})


def _message(found: list[Conflict]) -> str:
    if len(found) == 1:
        return f"Apply failed with 1 conflict: conflict with {found[0].writer}: {shown_path(found[0].path)}"
    lines = []
    for writer in dict.fromkeys(conflict.writer for conflict in found):
        lines.append(f"conflicts with {writer}:")
        lines += [f"- {shown_path(conflict.path)}" for conflict in found if conflict.writer == writer]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
