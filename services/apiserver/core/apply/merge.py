"""What an applied configuration makes of the live object: applied values win, everything else stays.

Source: structured-merge-diff `typed/merge.go`.
"""

from typing import Any

from podwire.proto.kube.json_objects import copy_json
from podwire.services.apiserver.core.apply.shapes import DEDUCED, Shape, Sort, element_of
from podwire.services.apiserver.core.json_types import Json


def merge(live: Any, applied: Any, shape: Shape) -> Any:
    """The merged value; both are valid by the shape, but keyed lists of the live value may repeat a key."""
    resolved = shape.of(applied)
    if resolved.sort == Sort.SCALAR or resolved.atomic or not (live or applied):
        return copy_json(applied)
    if resolved.sort == Sort.MAP:
        return _merge_maps(live if isinstance(live, dict) else {}, applied or {}, resolved)
    return _merge_lists(live if isinstance(live, list) else [], applied or [], resolved)


def _merge_maps(live: Json, applied: Json, shape: Shape) -> Json:
    merged = {name: copy_json(entry) for name, entry in live.items() if name not in applied}
    for name, entry in applied.items():
        inner = shape.of_field(name) or DEDUCED
        merged[name] = merge(live[name], entry, inner) if name in live else copy_json(entry)
    order = list(live) + [name for name in applied if name not in live]
    return {name: merged[name] for name in order}


def _merge_lists(live: list[Any], applied: list[Any], shape: Shape) -> list[Any]:
    """Entries that only the live list has keep their place; what is applied comes in its own order."""
    return _Interleaving(live, applied, shape).run()


class _Interleaving:
    """Two lists walked beside each other."""

    def __init__(self, live: list[Any], applied: list[Any], shape: Shape) -> None:
        self._live, self._applied, self._shape = live, applied, shape.entry()
        self._left = [element_of(shape, entry) for entry in live]
        self._right = [element_of(shape, entry) for entry in applied]
        self._known: dict[str, Any] = {}
        for element, entry in zip(self._left, live, strict=True):
            # A key that is there twice is replaced, not merged with one of both.
            self._known[element] = None if element in self._known else entry
        self._shared = [element for element in self._right if element in self._known]
        self._merged: dict[str, None] = {}

    def run(self) -> list[Any]:
        """The merged list."""
        out: list[Any] = []
        applied = dict.fromkeys(self._right)
        left = right = 0
        while left < len(self._left) or right < len(self._right):
            has_left, has_right = left < len(self._left), right < len(self._right)
            element = self._left[left] if has_left else ""
            if has_left and has_right and element == self._right[right]:
                out.append(self._take(right))
                left, right = left + 1, right + 1
            elif has_left and element not in applied:
                out.append(copy_json(self._live[left]))
                left += 1
            elif has_left and (element in self._merged or (has_right and self._shared[0] != element)):
                left += 1
            else:
                out.append(self._take(right))
                right += 1
        return out

    def _take(self, right: int) -> Any:
        element, entry = self._right[right], self._applied[right]
        self._merged[element] = None
        if self._shared and self._shared[0] == element:
            self._shared.pop(0)
        known = self._known.get(element)
        return copy_json(entry) if known is None else merge(known, entry, self._shape)
