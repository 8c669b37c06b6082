"""Sets and maps: exact members by hash, ranges in order, elements that expire (Linux net/netfilter/nft_set_*.c)."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

from podwire.services.node.kernel.nftables.datatypes import Datatype, Range, Scalar
from podwire.services.node.kernel.nftables.errors import NftError

type Key = tuple[Scalar, ...]
"""One value a field."""

SIZE_LIMIT: Final = 65535


@dataclass(slots=True)
class Element:
    """A member: its ranges field by field, its data (a map's), and when it goes (ns; 0: never)."""

    ranges: tuple[Range, ...]
    data: Any = None
    comment: str = ""
    timeout: int = 0
    expires: int = 0
    is_default: bool = False
    """The `*` of a verdict map."""

    @property
    def key(self) -> Key | None:
        """The one key that it stands for, None if it stands for many."""
        return tuple(low for low, _ in self.ranges) if all(low == high for low, high in self.ranges) else None

    def holds(self, key: Key) -> bool:
        """Whether it stands for a key."""
        return all(low <= part <= high for (low, high), part in zip(self.ranges, key, strict=True))  # type: ignore[operator]  # both of the field's type


@dataclass(slots=True)
class NftSet:
    """A set, or a map if it has a data type. Anonymous ones have no name."""

    name: str
    fields: tuple[Datatype, ...]
    data: tuple[Datatype, ...] = ()
    flags: tuple[str, ...] = ()
    size: int = 0
    timeout: int = 0
    comment: str = ""
    auto_merge: bool = False
    handle: int = 0
    elements: list[Element] = field(default_factory=list)
    _exact: dict[Key, Element] = field(default_factory=dict)
    _ranges: list[Element] = field(default_factory=list)
    _lows: list[Any] = field(default_factory=list)
    _default: Element | None = None

    def copy(self) -> "NftSet":
        """An independent copy; elements are shared, they don't change but for when they expire."""
        twin = NftSet(
            self.name,
            self.fields,
            self.data,
            self.flags,
            self.size,
            self.timeout,
            self.comment,
            self.auto_merge,
            self.handle,
            list(self.elements),
        )
        twin._reindex()
        return twin

    @property
    def is_dynamic(self) -> bool:
        """Whether packets may change it."""
        return "dynamic" in self.flags or "timeout" in self.flags or bool(self.timeout)

    def add(self, element: Element, now: int, *, exclusive: bool = False) -> None:
        """Put an element in; one that is there stays (add) or is an error (create); NftError if full or conflicting."""
        key = element.key
        old = self._default if element.is_default else self._exact.get(key) if key is not None else None
        if old is not None and not _is_gone(old, now):
            if exclusive or (self.data and old.data != element.data):
                raise NftError("Could not process rule: File exists")
            return
        if key is None and not element.is_default and "interval" not in self.flags and self.name:
            raise NftError("set does not support ranges: flags interval is missing")
        if len(self.elements) >= (self.size or SIZE_LIMIT):
            raise NftError("Could not process rule: Too many open files in system")
        if old is not None:
            self.elements.remove(old)
        self._check_overlap(element)
        self.elements.append(element)
        self._reindex()

    def _check_overlap(self, element: Element) -> None:
        if len(self.fields) != 1 or element.is_default or self.auto_merge:
            return
        low, high = element.ranges[0]
        for other in self._ranges:
            other_low, other_high = other.ranges[0]
            if low <= other_high and other_low <= high and element.ranges != other.ranges:  # type: ignore[operator]  # both of the field's type
                raise NftError("conflicting intervals specified")

    def remove(self, ranges: tuple[Range, ...]) -> bool:
        """Take an element out; whether it was there."""
        kept = [each for each in self.elements if each.ranges != ranges]
        gone = len(kept) < len(self.elements)
        self.elements = kept
        self._reindex()
        return gone

    def clear(self) -> None:
        """Take every element out."""
        self.elements = []
        self._reindex()

    def _reindex(self) -> None:
        self._exact, ranges, self._default = {}, [], None
        for each in self.elements:
            key = each.key
            if each.is_default:
                self._default = each
            elif key is not None:
                self._exact[key] = each
            else:
                ranges.append(each)
        if len(self.fields) == 1:
            ranges.sort(key=lambda each: each.ranges[0][0])
        self._ranges = ranges
        self._lows = [each.ranges[0][0] for each in ranges]

    def find(self, key: Key, now: int) -> Element | None:
        """The element that stands for a key; None if there is none, or it has expired."""
        found = self._exact.get(key)
        if found is not None and not _is_gone(found, now):
            return found
        found = self._find_range(key)
        if found is not None and not _is_gone(found, now):
            return found
        return self._default

    def _find_range(self, key: Key) -> Element | None:
        if len(self.fields) != 1:
            return next((each for each in self._ranges if each.holds(key)), None)
        at = bisect_right(self._lows, key[0]) - 1
        while at >= 0:
            if self._ranges[at].holds(key):
                return self._ranges[at]
            at -= 1 if self.auto_merge else at + 1
        return None

    def live(self, now: int) -> list[Element]:
        """The elements that have not expired."""
        return [each for each in self.elements if not _is_gone(each, now)]

    def touch(self, key: Key, now: int, *, refresh: bool, timeout: int = 0, data: Any = None) -> bool:
        """What a packet does to a set: add, or with `refresh` (update) also restart the clock; false if full."""
        lasts = timeout or self.timeout
        found = self._exact.get(key)
        if found is not None and not _is_gone(found, now):
            if refresh and lasts:
                found.expires = now + lasts
            return True
        live = self.live(now)
        if len(live) >= (self.size or SIZE_LIMIT):
            return False
        expires = now + lasts if lasts else 0
        self.elements = [*live, Element(tuple((part, part) for part in key), data, "", timeout, expires)]
        self._reindex()
        return True


def _is_gone(element: Element, now: int) -> bool:
    return bool(element.expires) and element.expires <= now
