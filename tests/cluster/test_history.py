"""A cluster's past: what is read from the log is what the API server answered at that time."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from podwire.proto.kube import resources
from podwire.proto.messages.api import ApiRequest
from podwire.scripts.cluster.folder import Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history.difference import differences, unified
from podwire.scripts.history.listing import asked, listing
from podwire.scripts.history.log import Log
from podwire.scripts.history.past import TABLE, Past
from podwire.scripts.simulation.cluster import SimulatedCluster

from .conftest import Booted

COLLECTIONS = (
    resources.PODS,
    resources.DEPLOYMENTS,
    resources.REPLICA_SETS,
    resources.SERVICES,
    resources.ENDPOINT_SLICES,
    resources.NODES,
    resources.CONFIG_MAPS,
)
STEPS: tuple[dict[str, Any], ...] = ({"spec": {"replicas": 3}}, {"spec": {"replicas": 1}})

type Answers = dict[tuple[str, str], Any]
type Told = list[tuple[int, int, Answers]]


def log_of(cluster: SimulatedCluster) -> Log:
    stream = cluster.broker.stream
    return Log(
        stream.birth, Shape(len(cluster.layout.machines) - 1, "ipv4"), tuple(stream.messages.values()), stream.last
    )


async def answers(cluster: SimulatedCluster) -> tuple[int, int, Answers]:
    """What the API server says of everything, as JSON and as tables, at one revision."""
    while True:
        revision, now, told = cluster.broker.stream.last, cluster.clock.now_ns(), {}
        for resource in COLLECTIONS:
            for accept in ("application/json", TABLE):
                response = await cluster.api.request(ApiRequest(method="GET", path=resource.path(), accept=accept))
                told[(resource.path(), accept)] = json.loads(response.body)
        if cluster.broker.stream.last == revision:
            return revision, now, told


@pytest.fixture(scope="module")
def lived() -> Iterator[tuple[Log, Told]]:
    booted = Booted(seed=5, workers=2)
    cluster = booted.cluster

    async def live() -> Told:
        told = [await answers(cluster)]
        await booted.scenario.apply_workload()
        told.append(await answers(cluster))
        for step in STEPS:
            await cluster.api.patch(resources.DEPLOYMENTS, "default", "my-api", step)
            await asyncio.sleep(0.05)
            told.append(await answers(cluster))
        await cluster.api.delete(resources.SERVICES, "default", "my-api")
        await asyncio.sleep(1)
        return [*told, await answers(cluster)]

    told = cluster.run(live())
    yield log_of(cluster), told
    cluster.close()


def without_times(value: Any) -> Any:
    """Leases aside, all that may differ is the moment of asking: ages, and the revision of the end of the log."""
    if value["kind"] == "Table":
        places = [place for place, each in enumerate(value["columnDefinitions"]) if each["name"] != "Age"]
        return [[row["cells"][place] for place in places] for row in value["rows"]]
    return value["items"]


def test_every_listing_is_as_the_api_server_gave_it_then(lived: tuple[Log, Told]) -> None:
    log, told = lived
    for revision, now, then in told:
        past = Past(log, revision, now)
        for (path, accept), answer in then.items():
            assert without_times(past.read(path, accept=accept)) == without_times(answer), (revision, path)


def test_listings_look_as_kubectl_prints_them(lived: tuple[Log, Told]) -> None:
    log, told = lived
    past = Past(log, told[1][0])
    (heading, *rows) = listing(past, asked(["deploy,svc"], "", "", "wide")).splitlines()
    assert heading.split()[:5] == ["NAMESPACE", "NAME", "READY", "UP-TO-DATE", "AVAILABLE"]
    assert rows[1].split()[:3] == ["kube-system", "deployment.apps/coredns", "2/2"]
    assert "NAMESPACE     NAME                 TYPE        CLUSTER-IP" in "\n".join(rows)
    assert listing(past, asked(["svc/my-api", "deploy/my-api"], "default", "", "name")).splitlines() == [
        "service/my-api",
        "deployment.apps/my-api",
    ]
    assert listing(past, asked(["pods"], "default", "app=none", "")) == ""
    assert "managedFields" not in listing(past, asked(["svc", "my-api"], "default", "", "yaml"))
    assert json.loads(listing(past, asked(["svc"], "default", "", "json")))["kind"] == "List"
    with pytest.raises(UserError, match='services "my-api" not found'):
        listing(Past(log, told[0][0]), asked(["svc", "my-api"], "default", "", ""))


def test_a_difference_is_a_unified_diff_of_each_object(lived: tuple[Log, Told]) -> None:
    log, told = lived
    old, new = told[1][0], told[-1][0]
    found = {each.file: each for each in differences(log, old, new)}
    assert found["v1.Service.default.my-api"].what == "deleted"
    assert not any(".Lease." in file or ".Event." in file for file in found)
    text = unified(found["apps.v1.Deployment.default.my-api"], log, old, new)
    place = "apps.v1.Deployment.default.my-api"
    assert text.startswith(f"diff -u -N {old}/{place} {new}/{place}\n--- {old}/{place}\t2023-11-14T")
    assert "\n-  replicas: 2\n+  replicas: 1\n" in text
    assert differences(log, new, new) == []
