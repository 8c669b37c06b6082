"""Label and field selectors of requests and objects (apimachinery `labels/selector.go`, `fields/selector.go`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.labels import LabelSelector, Requirement, parse_term, split_terms
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import bad_request
from podwire.services.apiserver.core.json_types import Json


def parse_label_selector(text: str) -> LabelSelector:
    """The selector of a query string; raises ApiError 400."""
    return tuple(_checked(parse_term(term), term) for term in split_terms(text))


def _checked(requirement: Requirement, term: str) -> Requirement:
    problems = names.label_key(requirement.key)
    for value in requirement.values:
        problems += names.label_value(value)
    if problems:
        raise bad_request(f"unable to parse requirement: {term!r}: {problems[0]}")
    return requirement


def from_object(selector: Json) -> LabelSelector:
    """The selector of an object's `matchLabels` and `matchExpressions` (metav1.LabelSelector)."""
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    terms = [Requirement(key, "in", (value,)) for key, value in section(selector, "matchLabels").items()]
    for expression in items(selector, "matchExpressions"):
        operator = operators.get(expression.get("operator", ""), "in")
        terms.append(Requirement(expression.get("key", ""), operator, tuple(items(expression, "values"))))
    return tuple(terms)


def format_selector(selector: Json | None) -> str:
    """A selector as printers show it (metav1.FormatLabelSelector): `<none>` when it selects by nothing."""
    if selector is None:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted(section(selector, "matchLabels").items())]
    for expression in items(selector, "matchExpressions"):
        parts.append(_format_expression(expression))
    return ",".join(parts) or "<none>"


def _format_expression(expression: Json) -> str:
    key, values = expression.get("key", ""), ",".join(sorted(items(expression, "values")))
    forms: dict[str, str] = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "DoesNotExist": f"!{key}",
    }
    return forms.get(str(expression.get("operator", "")), str(key))


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One field comparison."""

    field: str
    value: str
    equal: bool


type FieldSelector = tuple[FieldTerm, ...]
type FieldReader = Callable[[Json], str]


def parse_field_selector(text: str, known: Mapping[str, FieldReader], title: str) -> FieldSelector:
    """The selector of a query string over a kind's selectable fields; raises ApiError 400."""
    terms = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, mark, value = _split_comparison(part)
        if not mark:
            raise bad_request(f'invalid selector: "{text}"; can\'t understand "{part}"')
        if name not in known:
            raise bad_request(
                f'Unable to find "{title}" that match label selector "", field selector "{text}": '
                f'"{name}" is not a known field selector: only {_quoted(sorted(known))}'
            )
        terms.append(FieldTerm(name, value, mark != "!="))
    return tuple(terms)


def _split_comparison(part: str) -> tuple[str, str, str]:
    for mark in ("!=", "==", "="):
        name, found, value = part.partition(mark)
        if found:
            return name.strip(), mark, value.strip()
    return part, "", ""


def _quoted(values: list[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def matches_fields(selector: FieldSelector, known: Mapping[str, FieldReader], value: Json) -> bool:
    """Whether an object satisfies every field comparison."""
    return all((known[term.field](value) == term.value) == term.equal for term in selector)


def field_reader(path: str) -> FieldReader:
    """Reads one dotted field as text; absent is empty, booleans as Go prints them."""
    names_of_path = path.split(".")

    def read(value: Json) -> str:
        current: Any = value
        for name in names_of_path:
            current = current.get(name) if isinstance(current, dict) else None
        if current is None:
            return ""
        return str(current).lower() if isinstance(current, bool) else str(current)

    return read
