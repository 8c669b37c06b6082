"""The pytest fixture: what a session pays once, and what each test pays for a cluster of its own."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from tests.bench.table import Row

from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.testing.cluster import Cluster
from podwire.scripts.testing.roots import Roots, Shape

_SHAPE: Final = Shape(nodes=3)
_TIMES: Final = 20
_MY_API: Final = MANIFESTS.parents[1] / "scripts" / "demo" / "my-api.yaml"


def measure() -> Iterator[Row]:
    """All rows."""
    manifests = (_MY_API.resolve().read_text(encoding="utf-8"),)
    roots = Roots()
    try:
        started = _took(lambda: roots.fork(_SHAPE, ()))
        yield Row("a pytest session's first cluster of 3 nodes", f"{started:.2f} s")
        yield Row("  of which booting, the rest is loading Python", f"{roots.boots[_SHAPE]:.2f} s")
        yield Row("  its first with manifests of 3 pods", f"{_took(lambda: roots.fork(_SHAPE, manifests)):.2f} s")
        served = sorted(_took(lambda: _serve(roots.fork(_SHAPE, manifests))) for _ in range(_TIMES))
        yield Row("  a test's cluster, until a Service answered curl", f"{served[_TIMES // 2] * 1000:.0f} ms", "100 ms")
        cluster = roots.fork(_SHAPE, manifests)
        reached = sorted(_took(lambda: cluster.reach("debug", "my-api")) for _ in range(_TIMES))
        yield Row("  a traced cluster.reach", f"{reached[_TIMES // 2] * 1000:.0f} ms")
    finally:
        roots.close()


def _serve(cluster: Cluster) -> None:
    assert cluster.exec("debug", "curl -s http://my-api")
    cluster.close()


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
