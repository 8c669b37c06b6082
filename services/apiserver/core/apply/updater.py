"""What applying and updating make of an object and of its managers.

Source: structured-merge-diff `merge/update.go`, `merge/conflict.go`; apimachinery `structuredmerge.go`, `stripmeta.go`,
`managedfieldsupdater.go` in `util/managedfields/internal`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from podwire.services.apiserver.core.apply.compare import Comparison, compare
from podwire.services.apiserver.core.apply.elements import Path, field
from podwire.services.apiserver.core.apply.field_set import FieldSet, of_paths
from podwire.services.apiserver.core.apply.managers import Managed, Owned, Writer, cap
from podwire.services.apiserver.core.apply.merge import merge
from podwire.services.apiserver.core.apply.removal import remove
from podwire.services.apiserver.core.apply.shapes import Shape
from podwire.services.apiserver.core.apply.typed import fields_of
from podwire.services.apiserver.core.json_types import Json

_STRIPPED: Final = ("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation")


def _stripped() -> FieldSet:
    meta = field("metadata")
    inside = [(meta, field(name)) for name in (*_STRIPPED, "managedFields", "resourceVersion")]
    return of_paths((field("apiVersion"),), (field("kind"),), (meta,), *inside)


_NOBODYS: Final = _stripped()
"""Fields that nobody manages."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that is somebody else's."""

    writer: Writer
    path: Path


class Conflicts(Exception):
    """What an apply would take from others, sorted by writer and path."""

    def __init__(self, found: list[Conflict]) -> None:
        super().__init__(f"{len(found)} conflicts")
        self.found = found


@dataclass(frozen=True, slots=True)
class Form:
    """One version of a kind: its shape, and how the version that is asked for becomes this one."""

    shape: Shape
    convert: Callable[[Json], Json]
    back: Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class Updater:
    """Applies and updates objects of one kind in one version."""

    version: str
    forms: Mapping[str, Form]
    """Every version that the object can be seen in, the asked one among them."""
    ignored: FieldSet
    """What a request of this sort cannot change (the strategies' reset fields)."""

    @property
    def shape(self) -> Shape:
        """The shape in the asked version."""
        return self.forms[self.version].shape

    def update(self, live: Json, new: Json, managed: Managed, writer: Writer, now: str) -> Managed:
        """The managers after a create, update or patch: what changed is the writer's. `live` is {} for a new object."""
        rest, found = self._take(live, new, managed, None, force=True)
        gained = found.changed.difference(_NOBODYS)
        if gained:
            known = rest.get(writer)
            fields = gained if known is None else gained.union(known.fields)
            rest[writer] = Owned(fields, self.version, now)
        return cap(rest)

    def apply(
        self, live: Json, config: Json, managed: Managed, writer: Writer, now: str, force: bool
    ) -> tuple[Json, Managed]:
        """The merged object and its managers; raises Conflicts unless forced. Both objects are valid by the shape."""
        merged: Json = merge(live, config, self.shape)
        last = managed.get(writer)
        fields = fields_of(config, self.shape).without(self.ignored)
        claimed = {**managed, writer: Owned(fields, self.version, last.time if last else "")}
        merged = self._prune(merged, claimed, writer, last)
        result, _ = self._take(live, merged, claimed, writer, force)
        own = result[writer].fields.difference(_NOBODYS) if writer in result else FieldSet()
        if not own:
            result.pop(writer, None)
        elif last is None or merged != live or own != last.fields or last.api_version != self.version:
            result[writer] = Owned(own, self.version, now)
        else:
            result[writer] = last
        return merged, result

    def _take(
        self, live: Json, new: Json, managed: Managed, writer: Writer | None, force: bool
    ) -> tuple[Managed, Comparison]:
        """The managers after the others have lost what changed or went; raises Conflicts unless forced."""
        found = {self.version: compare(live, new, self.shape).without(self.ignored)}
        result: Managed = {}
        conflicts: list[Conflict] = []
        for other, owned in managed.items():
            if other == writer:
                result[other] = owned
                continue
            if owned.api_version not in self.forms:
                continue
            if owned.api_version not in found:
                found[owned.api_version] = self._compared(live, new, owned.api_version)
            changes = found[owned.api_version]
            lost = owned.fields.intersection(changes.changed)
            conflicts += [Conflict(other, path) for path in lost.paths()]
            result[other] = replace(owned, fields=owned.fields.difference(lost).difference(changes.removed))
        if conflicts and not force:
            raise Conflicts(sorted(conflicts, key=lambda conflict: conflict.writer))
        return {other: owned for other, owned in result.items() if owned.fields}, found[self.version]

    def _compared(self, live: Json, new: Json, version: str) -> Comparison:
        form = self.forms[version]
        return compare(form.convert(live) if live else {}, form.convert(new), form.shape)

    def _prune(self, merged: Json, managed: Managed, writer: Writer, last: Owned | None) -> Json:
        """Without what the writer applied last time, does not apply now, and nobody else holds."""
        if last is None or not last.fields or last.api_version not in self.forms:
            return merged
        form = self.forms[last.api_version]
        seen = form.convert(merged)
        before = last.fields.with_named_fields(form.shape)
        pruned = self._with_owned(seen, remove(seen, before, form.shape) or {}, managed, last.api_version)
        there = fields_of(seen, form.shape).with_named_fields(form.shape)
        left = fields_of(pruned, form.shape).with_named_fields(form.shape)
        rest: Json = remove(seen, there.difference(left).intersection(before), form.shape) or {}
        return form.back(rest)

    def _with_owned(self, merged: Json, pruned: Json, managed: Managed, version: str) -> Json:
        """What was pruned although somebody holds it is put back."""
        by_version: dict[str, FieldSet] = {version: FieldSet()}
        for owned in managed.values():
            if owned.api_version in self.forms:
                known = by_version.get(owned.api_version, FieldSet())
                by_version[owned.api_version] = known.union(owned.fields)
        for other, held in by_version.items():
            pruned = self._put_back(merged, pruned, held, version, other)
        return pruned

    def _put_back(self, merged: Json, pruned: Json, held: FieldSet, version: str, other: str) -> Json:
        """`pruned` with what is held of `merged`; both are in one version, the held fields in another one."""
        home, form = self.forms[version], self.forms[other]
        whole, part = (
            (merged, pruned) if other == version else (form.convert(home.back(value)) for value in (merged, pruned))
        )
        there = fields_of(whole, form.shape).with_named_fields(form.shape)
        left = fields_of(part, form.shape).with_named_fields(form.shape)
        kept = left.union(held.with_named_fields(form.shape))
        rest: Json = remove(whole, there.difference(kept), form.shape) or {}
        return rest if other == version else home.convert(form.back(rest))
