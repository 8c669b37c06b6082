"""What differs between two revisions, as `kubectl diff` prints it: `diff -u -N` of each object's YAML.

Source: kubectl `pkg/cmd/diff/diff.go` (file names, managedFields left out).
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from podwire.proto.kube.times import rfc3339
from podwire.scripts.history.log import Log
from podwire.scripts.history.past import Past, without_managers
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.presentation import to_yaml

type Name = tuple[str, str, str, str]
"""API version, kind, namespace, name."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One object at two revisions; None where it is not there."""

    name: Name
    before: Json | None
    after: Json | None

    @property
    def what(self) -> str:
        """What happened to it."""
        return "created" if self.before is None else "deleted" if self.after is None else "changed"

    def as_json(self) -> Json:
        """Both states, without managedFields."""
        names = dict(zip(("apiVersion", "kind", "namespace", "name"), self.name, strict=True))
        states = {"before": without_managers(self.before), "after": without_managers(self.after)}
        return {"what": self.what, **names, **states}

    @property
    def file(self) -> str:
        """`apps.v1.Deployment.default.web`."""
        version, kind, namespace, name = self.name
        return ".".join(part for part in (version.replace("/", "."), kind, namespace, name) if part)


def differences(log: Log, old: int, new: int) -> list[Difference]:
    """Every object that is not the same at both revisions, by kind, namespace and name."""
    before, after = Past(log, old).everything(), Past(log, new).everything()
    found = [Difference(name, before.get(name), after.get(name)) for name in sorted(before | after)]
    return [each for each in found if each.before != each.after]


def unified(each: Difference, log: Log, old: int, new: int) -> str:
    """The lines of `diff -u -N`, with the revisions as folders."""
    left, right = f"{old}/{each.file}", f"{new}/{each.file}"
    lines = difflib.unified_diff(
        _lines(each.before), _lines(each.after), left, right, rfc3339(log.time_of(old)), rfc3339(log.time_of(new))
    )
    return "".join([f"diff -u -N {left} {right}\n", *_ended(lines)])


def _lines(value: Json | None) -> list[str]:
    return [] if value is None else to_yaml(without_managers(value)).decode().splitlines(keepends=True)


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n"
