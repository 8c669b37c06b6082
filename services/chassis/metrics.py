"""Counters, gauges and histograms, and their text in Prometheus' exposition format 0.0.4.

The official client reads the clock and takes locks when a metric is made, which a simulation forbids.
"""

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

DEFAULT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[str, ...]


class Metric(ABC):
    """One family: its name, help text and label names. Values belong to the labels' values."""

    kind: str

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)

    @abstractmethod
    def samples(self) -> Iterable[tuple[str, Mapping[str, str], float]]:
        """Name suffix, labels and value of each sample."""

    def named(self, values: Labels) -> dict[str, str]:
        """The labels with their names."""
        return dict(zip(self.labels, values, strict=True))


class Counter(Metric):
    """What only grows. Without labels it is told from the start, as 0."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, text, labels)
        self.values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Counts once, or `amount`."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def samples(self) -> Iterable[tuple[str, Mapping[str, str], float]]:
        return [("", self.named(labels), value) for labels, value in self.values.items()]


class Gauge(Metric):
    """What goes up and down."""

    kind = "gauge"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, text, labels)
        self.values: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        """The value from now on."""
        self.values[labels] = value

    def samples(self) -> Iterable[tuple[str, Mapping[str, str], float]]:
        return [("", self.named(labels), value) for labels, value in self.values.items()]


class Histogram(Metric):
    """How many observations there were up to each bound."""

    kind = "histogram"

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = DEFAULT_BUCKETS
    ) -> None:
        super().__init__(name, text, labels)
        self.buckets = tuple(buckets)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Counts one observation."""
        counts = self._counts.setdefault(labels, [0] * (len(self.buckets) + 1))
        counts[bisect.bisect_left(self.buckets, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def samples(self) -> Iterable[tuple[str, Mapping[str, str], float]]:
        for labels, counts in self._counts.items():
            total = 0
            for bound, count in zip((*self.buckets, float("inf")), counts, strict=True):
                total += count
                yield "_bucket", {**self.named(labels), "le": number(bound)}, total
            yield "_sum", self.named(labels), self._sums[labels]
            yield "_count", self.named(labels), total


def number(value: float) -> str:
    """A value as Go prints it."""
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)


def exposition(metrics: Iterable[Metric]) -> str:
    """The text of all families, in order of name; families without samples are left out."""
    lines: list[str] = []
    for metric in sorted(metrics, key=lambda each: each.name):
        samples = list(metric.samples())
        if samples:
            lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{suffix}{_labels(labels)} {number(value)}" for suffix, labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
