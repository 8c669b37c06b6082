"""A rolling update under constant load while kube-proxy, CoreDNS, the controllers and the cloud provider die.

docs/rolling-updates.md says which requests a real cluster loses then, and why.
"""

from collections import Counter

import pytest

from .rolling.fates import Kind
from .rolling.table import SEED, play

MODES = ("iptables", "ipvs", "nftables")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_pod_that_sleeps_before_it_ends_loses_no_request() -> None:
    fates = play("iptables", 5, deaths=False)
    assert Counter(fate.kind for fate in fates) == {Kind.ANSWERED: len(fates)}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_pod_that_ends_at_once_loses_what_is_under_way_and_what_comes_before_the_rules() -> None:
    fates = [fate for seed in range(SEED, SEED + 4) for fate in play("iptables", 0, deaths=False, seed=seed)]
    lost = Counter(fate.kind for fate in fates if fate.kind is not Kind.ANSWERED)
    assert lost and set(lost) <= {Kind.CUT, Kind.SLICE, Kind.RULES}
    assert all(fate.excused for fate in fates)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
def test_deaths_lose_only_what_a_real_cluster_would_lose(mode: str) -> None:
    fates = play(mode, 5, deaths=True)
    unexcused = [f"{fate.request.way}: {fate.kind}: {fate.request.text}" for fate in fates if not fate.excused]
    assert not unexcused
    assert sum(fate.kind is Kind.ANSWERED for fate in fates) > 0.8 * len(fates)
