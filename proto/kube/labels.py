"""Label selectors as text: `env=prod,tier in (web, api),!legacy` (apimachinery `labels/selector.go`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SET_BASED: Final = re.compile(r"^([^\s!=<>,()]+)\s+(in|notin)\s*\(([^()]*)\)$")
_COMPARED: Final = re.compile(r"^([^\s!=<>,()]+)\s*(==|!=|=|>|<)\s*([^\s!=<>,()]*)$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: key, operator (in, notin, exists, absent, gt, lt), values."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a set of labels satisfies the term."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "absent":
            return value is None
        return value is not None and _compare(self.operator, value, self.values[0])


def _compare(operator: str, value: str, bound: str) -> bool:
    try:
        left, right = int(value), int(bound)
    except ValueError:
        return False
    return left > right if operator == "gt" else left < right


type LabelSelector = tuple[Requirement, ...]


def matches_labels(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy every term."""
    return all(requirement.matches(labels) for requirement in selector)


def split_terms(text: str) -> list[str]:
    """The terms of a selector; commas in parentheses separate none."""
    terms: list[str] = []
    depth, current = 0, ""
    for mark in text:
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if mark == "," and depth == 0:
            terms.append(current.strip())
            current = ""
        else:
            current += mark
    terms.append(current.strip())
    return [term for term in terms if term]


def parse_term(term: str) -> Requirement:
    """One term. Whether its key and values are spelled as labels may be is for the caller to check."""
    if match := _SET_BASED.match(term):
        return Requirement(match[1], match[2], tuple(value.strip() for value in match[3].split(",")))
    if match := _COMPARED.match(term):
        operator = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}[match[2]]
        return Requirement(match[1], operator, (match[3],))
    if term.startswith("!"):
        return Requirement(term[1:].strip(), "absent")
    return Requirement(term, "exists")
