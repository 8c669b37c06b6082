"""A plan in a whole cluster, on virtual time: the example of the documentation, and one that fails."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.scripts.chaos.plan import Plan, read_plan
from podwire.scripts.chaos.running import Nothing, Report, Runner

from .conftest import RULES_SETTLE, Booted

DEMO = Path(__file__).resolve().parents[2] / "scripts/demo"
KINDS: dict[str, Resource] = {kind.kind: kind for kind in (resources.DEPLOYMENTS, resources.SERVICES)}


def ran(booted: Booted, plan: Plan) -> Report:
    """The demo's workload, and a plan in front of it."""

    async def main() -> Report:
        api = booted.cluster.api
        for body in yaml.safe_load_all((DEMO / "my-api.yaml").read_text()):
            await api.create(KINDS[body["kind"]], "default", body)

        async def ready() -> bool:
            pods = await api.list(resources.PODS, "default")
            statuses: list[Any] = [pod["status"].get("containerStatuses") or [{"ready": False}] for pod in pods]
            return len(pods) >= 3 and all(each["ready"] for status in statuses for each in status)

        await booted.cluster.until(ready, 60, "the workload is Ready")
        await asyncio.sleep(RULES_SETTLE)
        return await Runner(booted.cluster.client, plan, Nothing(), lambda text: None).run()

    return booted.cluster.run(main())


def test_the_documented_plan_passes(booted: Booted) -> None:
    report = ran(booted, read_plan(str(DEMO / "cut-off.plan.yaml")))
    assert report.passed, report.rows
    assert [(row.when, row.check) for row in report.rows if row.check == "the Service answers"] == [
        ("before", "the Service answers"),
        ("during", "the Service answers"),
        ("after", "the Service answers"),
    ]
    during = next(row for row in report.rows if row.when == "during")
    assert during.said.startswith("held in 0 of 3 tries; not after 0.0 s: no answer within 1 s")


@pytest.mark.slow
def test_a_check_that_does_not_hold_fails_and_all_is_healed(booted: Booted) -> None:
    plan = read_plan(str(DEMO / "cut-off.plan.yaml"))
    strict = [msgspec.structs.replace(check, during="holds") for check in plan.checks]
    report = ran(booted, msgspec.structs.replace(plan, checks=strict))
    failed = [(row.when, row.check) for row in report.rows if not row.passed]
    assert failed == [("during", "the Service answers")]
    assert all(row.passed for row in report.rows if row.when == "after")


@pytest.mark.slow
def test_nothing_is_broken_where_the_steady_state_does_not_hold(booted: Booted) -> None:
    plan = read_plan(str(DEMO / "cut-off.plan.yaml"))
    http = plan.checks[0].http
    assert http is not None
    wrong = msgspec.structs.replace(plan.checks[0], http=msgspec.structs.replace(http, contains="good bye"))
    report = ran(booted, msgspec.structs.replace(plan, checks=[wrong]))
    assert [(row.when, row.passed) for row in report.rows] == [("before", False)]
    assert "without 'good bye' in it" in report.rows[0].said
