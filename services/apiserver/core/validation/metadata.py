"""Rules of metadata (apimachinery `api/validation/objectmeta.go`)."""

from collections.abc import Callable
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

type NameRule = Callable[[str], list[str]]

_ANNOTATIONS_LIMIT: Final = 256 * 1024


def labels(values: Json, path: str, errors: FieldErrors) -> None:
    """Keys and values of labels."""
    for key, value in values.items():
        for problem in names.label_key(key):
            errors.invalid(path, key, problem)
        for problem in names.label_value(value):
            errors.invalid(path, value, problem)


def annotations(values: Json, path: str, errors: FieldErrors) -> None:
    """Keys and total size of annotations."""
    for key in values:
        for problem in names.label_key(key.lower()):
            errors.invalid(path, key, problem)
    size = sum(len(key) + len(value) for key, value in values.items())
    if size > _ANNOTATIONS_LIMIT:
        errors.too_long(path, _ANNOTATIONS_LIMIT)


def validate(value: Json, old: Json | None, rule: NameRule, errors: FieldErrors) -> None:
    """Name, labels, annotations, finalizers, owner references."""
    meta = section(value, "metadata")
    name = meta.get("name", "")
    if not name:
        errors.required("metadata.name", "name or generateName is required")
    elif old is None:
        for problem in rule(name):
            errors.invalid("metadata.name", name, problem)
    labels(section(meta, "labels"), "metadata.labels", errors)
    annotations(section(meta, "annotations"), "metadata.annotations", errors)
    _owners(meta, errors)
    for index, finalizer in enumerate(items(meta, "finalizers")):
        for problem in names.label_key(finalizer):
            errors.invalid(f"metadata.finalizers[{index}]", finalizer, problem)
    if old is not None and section(old, "metadata").get("deletionTimestamp"):
        _no_new_finalizers(meta, section(old, "metadata"), errors)


def _owners(meta: Json, errors: FieldErrors) -> None:
    controllers = []
    for index, owner in enumerate(items(meta, "ownerReferences")):
        path = f"metadata.ownerReferences[{index}]"
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                errors.invalid(f"{path}.{key}", owner.get(key, ""), f"{key} must not be empty")
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        text = (
            f'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0].get('name')} and {controllers[1].get('name')}"
        )
        errors.invalid("metadata.ownerReferences", controllers, text)


def _no_new_finalizers(meta: Json, old: Json, errors: FieldErrors) -> None:
    added = [entry for entry in items(meta, "finalizers") if entry not in items(old, "finalizers")]
    if added:
        errors.forbidden(
            "metadata.finalizers",
            f"no new finalizers can be added if the object is being deleted, found new finalizers {added}",
        )


def selector(value: Json, path: str, errors: FieldErrors) -> None:
    """A metav1.LabelSelector."""
    labels(section(value, "matchLabels"), f"{path}.matchLabels", errors)
    for index, expression in enumerate(items(value, "matchExpressions")):
        place, operator = f"{path}.matchExpressions[{index}]", expression.get("operator", "")
        if operator in ("In", "NotIn"):
            if not items(expression, "values"):
                errors.required(f"{place}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if items(expression, "values"):
                errors.forbidden(
                    f"{place}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        else:
            errors.invalid(f"{place}.operator", operator, "not a valid selector operator")
        for problem in names.label_key(expression.get("key", "")):
            errors.invalid(f"{place}.key", expression.get("key", ""), problem)


def not_negative(value: Json, key: str, path: str, errors: FieldErrors) -> None:
    """A number that may be absent but not below zero."""
    number = value.get(key)
    if isinstance(number, int) and number < 0:
        errors.invalid(f"{path}.{key}", number, "must be greater than or equal to 0")


def one_of(value: Json, key: str, choices: list[str], path: str, errors: FieldErrors) -> None:
    """A string that may be absent but, if given, is one of an enumeration."""
    given = value.get(key)
    if given is not None and given not in choices:
        errors.unsupported(f"{path}.{key}" if path else key, given, choices)
