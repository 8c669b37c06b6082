"""What a CustomResourceDefinition must be, and its defaults.

Source: apiextensions-apiserver `pkg/apis/apiextensions/{validation/validation.go,v1/defaults.go}`,
`pkg/registry/customresourcedefinition/strategy.go`.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.custom import schema_rules
from podwire.services.apiserver.core.custom.json_path import PathProblem, compile_path
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

_SCOPES: Final = ["Cluster", "Namespaced"]
_COLUMN_TYPES: Final = ["boolean", "date", "integer", "number", "string"]
_PROTECTED: Final = ("k8s.io", "kubernetes.io")
_APPROVED: Final = "api-approved.kubernetes.io"
_IMMUTABLE: Final = "field is immutable"


def set_defaults(crd: Json) -> None:
    """Names that follow from the kind, and no conversion."""
    spec = section(crd, "spec")
    given = section(spec, "names")
    if given.get("kind"):
        given.setdefault("singular", given["kind"].lower())
        given.setdefault("listKind", f"{given['kind']}List")
    if spec:
        spec.setdefault("conversion", {"strategy": "None"})
    _note_stored_version(crd)


def new(crd: Json) -> None:
    """A new definition says which versions objects may be stored in."""
    crd["status"] = {
        "conditions": [],
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": [
            version["name"] for version in items(section(crd, "spec"), "versions") if version.get("storage")
        ],
    }


def _note_stored_version(crd: Json) -> None:
    status = section(crd, "status")
    if "storedVersions" not in status:
        return
    for version in items(section(crd, "spec"), "versions"):
        if version.get("storage") and version.get("name") not in status["storedVersions"]:
            status["storedVersions"] = [*status["storedVersions"], version["name"]]


def validate(crd: Json, old: Json | None, errors: FieldErrors) -> None:
    """Every rule of a definition."""
    spec = section(crd, "spec")
    wanted = f"{section(spec, 'names').get('plural', '')}.{spec.get('group', '')}"
    name = section(crd, "metadata").get("name", "")
    if name != wanted:
        errors.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    _group(crd, str(spec.get("group", "")), errors)
    if "scope" in spec and spec["scope"] not in _SCOPES:
        errors.unsupported("spec.scope", spec["scope"], _SCOPES)
    _names(section(spec, "names"), errors)
    _versions(spec, errors)
    if section(spec, "conversion").get("strategy") == "Webhook":
        errors.forbidden("spec.conversion.strategy", "podwire calls no conversion webhooks: use None")
    elif section(spec, "conversion").get("strategy", "None") != "None":
        errors.unsupported("spec.conversion.strategy", spec["conversion"]["strategy"], ["None", "Webhook"])
    if spec.get("preserveUnknownFields"):
        text = "must be false in order to use defaults in the schema or to create apiextensions.k8s.io/v1 definitions"
        errors.invalid("spec.preserveUnknownFields", True, text)
    if old is not None:
        _unchanged(crd, old, errors)


def _group(crd: Json, group: str, errors: FieldErrors) -> None:
    problems = names.dns1123_subdomain(group) if group else []
    if problems:
        errors.invalid("spec.group", group, ",".join(problems))
    elif group and "." not in group:
        errors.invalid("spec.group", group, "should be a domain with at least one dot")
    is_protected = any(group == domain or group.endswith(f".{domain}") for domain in _PROTECTED)
    if is_protected and not section(crd, "metadata", "annotations").get(_APPROVED):
        path = f"metadata.annotations[{_APPROVED}]"
        errors.required(
            path,
            "protected groups must have approval annotation "
            f'"{_APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111',
        )


def _names(given: Json, errors: FieldErrors) -> None:
    path = "spec.names"
    for name in ("plural", "singular"):
        problems = names.dns1035_label(given[name]) if given.get(name) else []
        if problems:
            errors.invalid(f"{path}.{name}", given[name], ",".join(problems))
    for name in ("kind", "listKind"):
        problems = names.dns1035_label(given[name].lower()) if given.get(name) else []
        if problems:
            text = "may have mixed case, but should otherwise match: " + ",".join(problems)
            errors.invalid(f"{path}.{name}", given[name], text)
    for kind in ("shortNames", "categories"):
        for index, name in enumerate(items(given, kind)):
            if problems := names.dns1035_label(name):
                errors.invalid(f"{path}.{kind}[{index}]", name, ",".join(problems))
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        errors.invalid(f"{path}.listKind", given["listKind"], "kind and listKind may not be the same")


def _versions(spec: Json, errors: FieldErrors) -> None:
    versions = items(spec, "versions")
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if problems := names.dns1035_label(str(version.get("name", ""))):
            errors.invalid(f"{path}.name", version.get("name", ""), ",".join(problems))
        _version(version, path, errors)
    given = [version.get("name") for version in versions]
    if len(dict.fromkeys(given)) != len(given):
        errors.invalid("spec.versions", versions, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        errors.invalid("spec.versions", versions, "must have exactly one version marked as storage version")


def _version(version: Json, path: str, errors: FieldErrors) -> None:
    schema = section(version, "schema", "openAPIV3Schema")
    if "openAPIV3Schema" not in section(version, "schema"):
        errors.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    else:
        schema_rules.validate(schema, f"{path}.schema.openAPIV3Schema", errors)
    if version.get("deprecationWarning") and not version.get("deprecated"):
        text = "can only be set for deprecated versions"
        errors.invalid(f"{path}.deprecationWarning", version["deprecationWarning"], text)
    for index, column in enumerate(items(version, "additionalPrinterColumns")):
        _column(column, f"{path}.additionalPrinterColumns[{index}]", errors)
    for index, field in enumerate(items(version, "selectableFields")):
        _simple_path(field, "jsonPath", (".spec.", ".status.", "."), f"{path}.selectableFields[{index}]", errors)
    scale = section(version, "subresources", "scale")
    if "scale" in section(version, "subresources"):
        _scale(scale, f"{path}.subresources.scale", errors)


def _column(column: Json, path: str, errors: FieldErrors) -> None:
    if column.get("type") not in _COLUMN_TYPES and column.get("type"):
        errors.unsupported(f"{path}.type", column["type"], _COLUMN_TYPES)
    if not column.get("jsonPath"):
        return
    try:
        compile_path(column["jsonPath"])
    except PathProblem as problem:
        errors.invalid(f"{path}.jsonPath", column["jsonPath"], str(problem))


def _scale(scale: Json, path: str, errors: FieldErrors) -> None:
    _simple_path(scale, "specReplicasPath", (".spec.",), path, errors)
    _simple_path(scale, "statusReplicasPath", (".status.",), path, errors)
    if scale.get("labelSelectorPath"):
        _simple_path(scale, "labelSelectorPath", (".spec.", ".status."), path, errors)


def _simple_path(value: Json, name: str, roots: tuple[str, ...], path: str, errors: FieldErrors) -> None:
    given = value.get(name, "")
    if not given:
        errors.required(f"{path}.{name}")
    elif not given.startswith(roots) or any(mark in given for mark in "[]*'\"") or ".." in given:
        wanted = " or ".join(root for root in roots)
        errors.invalid(f"{path}.{name}", given, f"should be a json path under {wanted}")


def _unchanged(crd: Json, old: Json, errors: FieldErrors) -> None:
    spec, before = section(crd, "spec"), section(old, "spec")
    established = any(
        entry.get("type") == "Established" and entry.get("status") == "True"
        for entry in items(section(old, "status"), "conditions")
    )
    fixed = [("group",), ("names", "plural")] + ([("scope",), ("names", "kind")] if established else [])
    for place in fixed:
        now, then = (section(value, *place[:-1]).get(place[-1]) for value in (spec, before))
        if now != then:
            errors.invalid(".".join(("spec", *place)), now, _IMMUTABLE)
    known = [version.get("name") for version in items(spec, "versions")]
    for index, version in enumerate(items(section(crd, "status"), "storedVersions")):
        if version not in known:
            missing = (
                "missing from spec.versions; " + f"{version} was previously a storage version, and must remain in "
            )
            text = missing + "spec.versions until a storage migration ensures no data remains persisted in "
            errors.invalid(
                f"status.storedVersions[{index}]",
                version,
                text + f"{version} and removes {version} from status.storedVersions",
            )
