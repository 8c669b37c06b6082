"""What a change did to some dicts, so that it can be taken back: trying it costs what it touches, not what is there."""

from typing import Any, Final

_NOTHING: Final = object()


class Journal:
    """Changes dicts and remembers what was there. Keys that `undo` brings back come last in their dict."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def put[K, V](self, held: dict[K, V], key: K, value: V) -> V:
        """Set an entry; the value."""
        self._before.append((held, key, held.get(key, _NOTHING)))
        held[key] = value
        return value

    def drop[K, V](self, held: dict[K, V], key: K) -> None:
        """Take an entry out, if it is there."""
        if key in held:
            self._before.append((held, key, held.pop(key)))

    def undo(self) -> None:
        """Have everything as it was at the last `keep`."""
        for held, key, was in reversed(self._before):
            if was is _NOTHING:
                del held[key]
            else:
                held[key] = was
        self._before.clear()

    def keep(self) -> None:
        """The changes stay."""
        self._before.clear()
