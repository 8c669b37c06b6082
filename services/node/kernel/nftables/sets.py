"""Sets and maps: exact members by hash, ranges in order, elements that expire (Linux net/netfilter/nft_set_*.c)."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

from podwire.services.node.kernel.nftables.datatypes import Datatype, Range, Scalar
from podwire.services.node.kernel.nftables.errors import NftError

type Key = tuple[Scalar, ...]
"""One value a field."""

SIZE_LIMIT: Final = 65535
PURGE_LEAST: Final = 64
"""From so many elements on what has expired is looked for now and then."""


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
    journal: list[tuple["Element", int]] | None = None
    """While a transaction edits it: the elements that went (-1) and came (1)."""
    _held: dict[tuple[Range, ...], Element] = field(default_factory=dict)
    _exact: dict[Key, Element] = field(default_factory=dict)
    _sorted: list[Element] | None = field(default_factory=list)
    """The elements that stand for many keys, None when they must be sorted anew."""
    _lows: list[Any] = field(default_factory=list)
    _purge_at: int = PURGE_LEAST

    @property
    def elements(self) -> list[Element]:
        """The elements in the order in which they came."""
        return list(self._held.values())

    def begin(self) -> None:
        """A transaction begins to change it."""
        self.journal = []

    def keep(self) -> None:
        """The transaction's changes stay."""
        self.journal = None

    def undo(self) -> None:
        """Take the transaction's changes back; elements that come back come last."""
        changes, self.journal = self.journal or [], None
        for element, by in reversed(changes):
            if by > 0:
                self._drop(element)
            else:
                self._put(element)

    @property
    def is_dynamic(self) -> bool:
        """Whether packets may change it."""
        return "dynamic" in self.flags or "timeout" in self.flags or bool(self.timeout)

    def add(self, element: Element, now: int, *, exclusive: bool = False) -> None:
        """Put an element in; one that is there stays (add) or is an error (create); NftError if full or conflicting."""
        key = element.key
        old = self._held.get(element.ranges)
        if old is not None and not _is_gone(old, now):
            if exclusive or (self.data and old.data != element.data):
                raise NftError("Could not process rule: File exists")
            return
        if key is None and not element.is_default and "interval" not in self.flags and self.name:
            raise NftError("set does not support ranges: flags interval is missing")
        if self._is_full(now):
            raise NftError("Could not process rule: Too many open files in system")
        self._check_overlap(element)
        if old is not None:
            self._drop(old)
        self._put(element)

    def _put(self, element: Element) -> None:
        self._held[element.ranges] = element
        if self.journal is not None:
            self.journal.append((element, 1))
        key = element.key
        if element.is_default:
            return
        if key is not None:
            self._exact[key] = element
        else:
            self._sorted = None

    def _drop(self, element: Element) -> None:
        del self._held[element.ranges]
        if self.journal is not None:
            self.journal.append((element, -1))
        key = element.key
        if element.is_default:
            return
        if key is not None:
            del self._exact[key]
        else:
            self._sorted = None

    def _is_full(self, now: int) -> bool:
        limit = self.size or SIZE_LIMIT
        if len(self._held) >= min(limit, self._purge_at):
            for each in [each for each in self._held.values() if _is_gone(each, now)]:
                self._drop(each)
            self._purge_at = max(2 * len(self._held), PURGE_LEAST)
        return len(self._held) >= limit

    def _ranges(self) -> list[Element]:
        if self._sorted is None:
            found = [each for each in self._held.values() if each.key is None and not each.is_default]
            if len(self.fields) == 1:
                found.sort(key=lambda each: each.ranges[0][0])
            self._sorted, self._lows = found, [each.ranges[0][0] for each in found]
        return self._sorted

    def _check_overlap(self, element: Element) -> None:
        if len(self.fields) != 1 or element.is_default or self.auto_merge:
            return
        low, high = element.ranges[0]
        for other in self._ranges():
            other_low, other_high = other.ranges[0]
            if low <= other_high and other_low <= high and element.ranges != other.ranges:  # type: ignore[operator]  # both of the field's type
                raise NftError("conflicting intervals specified")

    def remove(self, ranges: tuple[Range, ...]) -> bool:
        """Take an element out; whether it was there."""
        found = self._held.get(ranges)
        if found is not None:
            self._drop(found)
        return found is not None

    def clear(self) -> None:
        """Take every element out."""
        if self.journal is not None:
            self.journal += [(element, -1) for element in self._held.values()]
        self._held, self._exact, self._sorted, self._lows = {}, {}, [], []

    def find(self, key: Key, now: int) -> Element | None:
        """The element that stands for a key; None if there is none, or it has expired."""
        found = self._exact.get(key)
        if found is not None and not _is_gone(found, now):
            return found
        found = self._find_range(key)
        if found is not None and not _is_gone(found, now):
            return found
        return self._held.get(())

    def _find_range(self, key: Key) -> Element | None:
        found = self._ranges()
        if len(self.fields) != 1:
            return next((each for each in found if each.holds(key)), None)
        at = bisect_right(self._lows, key[0]) - 1
        while at >= 0:
            if found[at].holds(key):
                return found[at]
            at -= 1 if self.auto_merge else at + 1
        return None

    def live(self, now: int) -> list[Element]:
        """The elements that have not expired."""
        return [each for each in self._held.values() if not _is_gone(each, now)]

    def touch(self, key: Key, now: int, *, refresh: bool, timeout: int = 0, data: Any = None) -> bool:
        """What a packet does to a set: add, or with `refresh` (update) also restart the clock; false if full."""
        lasts = timeout or self.timeout
        found = self._exact.get(key)
        if found is not None and not _is_gone(found, now):
            if refresh and lasts:
                found.expires = now + lasts
            return True
        if found is not None:
            self._drop(found)
        if self._is_full(now):
            return False
        expires = now + lasts if lasts else 0
        self._put(Element(tuple((part, part) for part in key), data, "", timeout, expires))
        return True


def _is_gone(element: Element, now: int) -> bool:
    return bool(element.expires) and element.expires <= now
