"""Things that several Service ports may want at once: an address, a set's element, a virtual service.

It is there while anyone wants it; of several wishes for the same key that of the first Service by name holds, so that
what is written does not depend on the order of events.
"""

from collections.abc import Iterator, Mapping

from podwire.services.kube_proxy.core.ports import PortKey


class Claims[K, V]:
    """Wishes by key and owner; what they come to changes with `replace`, and `take` tells since when."""

    def __init__(self) -> None:
        self._wishes: dict[K, dict[PortKey, V]] = {}
        self._before: dict[K, V | None] = {}

    def __iter__(self) -> Iterator[K]:
        return iter(self._wishes)

    def __len__(self) -> int:
        return len(self._wishes)

    def get(self, key: K) -> V | None:
        """What holds for a key, None if nobody wants it."""
        wishes = self._wishes.get(key)
        return None if not wishes else next(iter(wishes.values())) if len(wishes) == 1 else wishes[min(wishes)]

    def items(self) -> Iterator[tuple[K, V]]:
        """Every key with what holds."""
        for key in self._wishes:
            value = self.get(key)
            assert value is not None, "a key without wishes is forgotten"
            yield key, value

    def replace(self, owner: PortKey, old: Mapping[K, V], new: Mapping[K, V]) -> None:
        """An owner wants `new` instead of `old`."""
        for key in dict.fromkeys((*old, *new)):
            if key in old and key in new and old[key] == new[key]:
                continue
            self._before.setdefault(key, self.get(key))
            wishes = self._wishes.setdefault(key, {})
            wishes.pop(owner, None)
            if key in new:
                wishes[owner] = new[key]
            if not wishes:
                del self._wishes[key]

    def take(self) -> dict[K, tuple[V | None, V | None]]:
        """What is different since the last time: by key, what held and what holds."""
        changed = {key: (before, self.get(key)) for key, before in self._before.items()}
        self._before.clear()
        return {key: pair for key, pair in changed.items() if pair[0] != pair[1]}
