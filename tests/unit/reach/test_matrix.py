"""The truth table: which probes there are, and the verdict on what a machine answers."""

import errno
import os

import pytest

from podwire.proto.messages.machine import Answer, Outcome, Refused
from podwire.scripts.reach.matrix import Matrix, Origin, Probe, Result, Target, judged, probes, spread, unaddressed
from podwire.scripts.trace.resolve import Source

A = Origin("default/a", Source("node-1", "default", "a", ("10.244.1.2",)))
B = Origin("node-2", Source("node-2"))
WEB = Target("default/web", "10.244.2.2", 80, "tcp")
DNS = Target("svc/kube-system/kube-dns", "10.96.0.10", 53, "udp")
PROBE = Probe(A, WEB)
SECOND = 1_000_000_000


def test_every_source_meets_every_target() -> None:
    assert [str(probe) for probe in probes((A, B), (WEB, DNS))] == [
        "default/a -> default/web tcp/80",
        "node-2 -> default/web tcp/80",
        "default/a -> svc/kube-system/kube-dns udp/53",
        "node-2 -> svc/kube-system/kube-dns udp/53",
    ]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 5), (5, 2)])
def test_each_probe_is_made_once_and_those_at_once_share_as_few_ends_as_can_be(rows: int, columns: int) -> None:
    order = spread(rows, columns)
    assert sorted(order) == list(range(rows * columns))
    first = order[: min(rows, columns)]
    assert len({index % rows for index in first}) == len({index // rows for index in first}) == len(first)


def test_a_probe_is_an_exchange_from_the_sources_namespace() -> None:
    call = Probe(A, DNS).call(0.5)
    assert (call.namespace, call.pod, call.kind) == ("default", "a", "udp")
    assert (call.address, call.port, call.timeout, call.trace) == ("10.96.0.10", 53, 0.5, "")
    assert (Probe(B, DNS).call(1).namespace, Probe(B, DNS).call(1).pod) == ("", "")


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (Outcome(success=True, text="connected", duration=5), "reached", "connected"),
        (Outcome(success=True, text="9 bytes", duration=3 * SECOND), "reached", "9 bytes"),
        (Outcome(success=False, text="Connection refused", duration=5), "refused", "Connection refused"),
        (Outcome(success=False, text="No route to host", duration=SECOND - 1), "refused", "No route to host"),
        (Outcome(success=False, text="no answer within 1 s", duration=SECOND - 1), "no answer", "no answer within 1 s"),
        (Outcome(success=False, text=os.strerror(errno.ETIMEDOUT), duration=5), "no answer", "Connection timed out"),
        (Refused(message="no pod default/a here"), "not probed", "no pod default/a here"),
    ],
)
def test_the_verdict_on_an_answer(answer: Answer, verdict: str, reason: str) -> None:
    result = judged(PROBE, answer, 1.0)
    assert (result.verdict, result.reason) == (verdict, reason)


def test_an_end_without_address_is_not_probed() -> None:
    new = Origin("default/new", Source(""), has_address=False)
    pending = Target("default/later", "", 80, "tcp")
    assert unaddressed(PROBE) is None
    for probe, name in ((Probe(new, WEB), "default/new"), (Probe(A, pending), "default/later")):
        result = unaddressed(probe)
        assert result is not None
        assert (result.verdict, result.reason) == ("not probed", f"{name}: the pod has no address yet")


def test_rows_are_sources_and_the_tally_counts_verdicts_and_rate() -> None:
    order = probes((A, B), (WEB, DNS))
    results = tuple(
        Result(probe, verdict, "")
        for probe, verdict in zip(order, ("reached", "refused", "no answer", "not probed"), strict=True)
    )
    matrix = Matrix((A, B), (WEB, DNS), results, 0.5)
    assert (matrix.marks(0), matrix.marks(1)) == ([".", "-"], ["X", "?"])
    assert matrix.tally() == (
        "4 probes in 0.50 s, 8 probes/s: 1 reached, 1 refused or unreachable, 1 no answer, 1 not probed"
    )
