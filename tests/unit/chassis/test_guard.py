"""The guard is seen to fail: each forbidden function raises inside it, and works again after it."""

# ruff: noqa: TID251 - the forbidden functions are what is tested
import os
import random
import time

import pytest

from podwire.services.chassis.simulation.guard import FORBIDDEN, guarded
from podwire.services.chassis.simulation.loop import Forbidden, SimulationLoop


@pytest.mark.parametrize(("owner", "name"), FORBIDDEN, ids=[f"{owner.__name__}.{name}" for owner, name in FORBIDDEN])
def test_each_forbidden_function_raises(owner: object, name: str) -> None:
    before = getattr(owner, name)
    with guarded(), pytest.raises(Forbidden, match=name):
        getattr(owner, name)()
    assert getattr(owner, name) is before


@pytest.mark.parametrize(
    "call",
    [time.time, time.monotonic, lambda: os.urandom(1), random.random],
    ids=["a name taken before", "another", "urandom", "random"],
)
def test_outside_nothing_is_forbidden(call: object) -> None:
    with guarded():
        pass
    assert callable(call) and call() is not None


def test_the_functions_are_back_after_a_failure() -> None:
    before = time.time
    with pytest.raises(ValueError, match="x"), guarded():
        raise ValueError("x")
    assert time.time is before


def test_law_breaking_code_fails_in_a_simulated_cluster() -> None:
    """The whole way: a service that reads the machine's clock does not come through a simulated run."""

    async def service() -> float:
        return time.monotonic()

    loop = SimulationLoop(1)  # type: ignore[abstract]  # what it does not have raises Forbidden
    with guarded(), pytest.raises(Forbidden, match=r"time\.monotonic"):
        loop.run_until_complete(loop.spawn("service", service()))
