"""The text that Prometheus reads."""

from podwire.services.chassis.metrics import Counter, Gauge, Histogram, exposition


def test_counters_and_gauges_with_and_without_labels() -> None:
    asked, held = Counter("asked_total", "Questions.", ("kind",)), Gauge("held", "Now.")
    asked.add("A")
    asked.add("A", amount=2)
    asked.add('quo"te\n')
    held.set(0.5)
    assert exposition([held, asked]) == (
        "# HELP asked_total Questions.\n"
        "# TYPE asked_total counter\n"
        'asked_total{kind="A"} 3\n'
        'asked_total{kind="quo\\"te\\n"} 1\n'
        "# HELP held Now.\n"
        "# TYPE held gauge\n"
        "held 0.5\n"
    )


def test_a_histograms_buckets_hold_all_that_is_below_their_bound() -> None:
    times = Histogram("took_seconds", "Time.", ("zone",), (0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        times.observe(value, ".")
    assert exposition([times]).splitlines()[2:] == [
        'took_seconds_bucket{zone=".",le="0.1"} 1',
        'took_seconds_bucket{zone=".",le="1"} 2',
        'took_seconds_bucket{zone=".",le="+Inf"} 3',
        'took_seconds_sum{zone="."} 7.6',
        'took_seconds_count{zone="."} 3',
    ]


def test_families_without_samples_are_left_out() -> None:
    assert exposition([Counter("none_total", "Nothing.", ("kind",))]) == ""
