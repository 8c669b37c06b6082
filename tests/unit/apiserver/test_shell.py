"""The API server on the in-memory bus: writes by many, watches of components, bootstrapping, compaction."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.messages import codec
from podwire.proto.messages.api import ApiRequest
from podwire.proto.messages.kubelet import Data, Exit, LogRequest, StreamOpened, StreamRefused
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.service import ApiServer
from podwire.services.apiserver.settings import ApiServerSettings
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.api.watch import Watching
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.memory import Broker
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.context import Context
from podwire.services.chassis.faults import Faults
from podwire.services.chassis.tasks import OrderedTaskGroup

USER = "system:kube-controllers"
SECOND = 1_000_000_000


class Clock:
    """Wall time that a test sets; the loop's time otherwise."""

    def __init__(self) -> None:
        self.offset = 1_700_000_000 * SECOND

    def now_ns(self) -> int:
        return self.offset + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND)


class World:
    """A broker, an API server, and clients."""

    def __init__(self, tasks: OrderedTaskGroup) -> None:
        self.broker = Broker(RandomStream(1))
        self.tasks = tasks
        self.clock = Clock()
        self.count = 0

    def context(self, component: str) -> Context:
        self.count += 1
        return Context(
            component=component,
            instance=str(self.count),
            node="",
            bus=self.broker.connect(f"{component}.{self.count}"),
            clock=self.clock,
            random=RandomStream(self.count),
            tasks=self.tasks,
            log=structlog.get_logger(),
            faults=Faults(RandomStream(0)),
        )

    def start(self) -> ApiServer:
        server = ApiServer(self.context("apiserver"), ApiServerSettings(instance="a", history_seconds=60))
        self.tasks.start(server.run(), "apiserver")
        return server

    def client(self, user: str = USER) -> ApiClient:
        return ApiClient(self.context("client").bus, user)


async def _ready(client: ApiClient) -> None:
    for _ in range(200):
        try:
            await client.get(resources.SERVICES, "default", "kubernetes")
            return
        except (ApiError, ApiUnavailable):
            await asyncio.sleep(0.01)
    raise AssertionError("the API server did not come up")


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with OrderedTaskGroup() as tasks:
        made = World(tasks)
        yield made
        for task in list(tasks._tasks):
            task.cancel()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


async def test_what_every_cluster_has() -> None:
    async with world() as made:
        made.start()
        client = made.client()
        await _ready(client)
        service = await client.get(resources.SERVICES, "default", "kubernetes")
        assert service["spec"]["clusterIP"] == "10.96.0.1"
        names = [value["metadata"]["name"] for value in await client.list(resources.NAMESPACES)]
        assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
        await client.create(resources.NODES, "", _control_plane())
        for resource in (resources.ENDPOINTS, resources.ENDPOINT_SLICES):
            await _until(lambda r=resource: client.get(r, "default", "kubernetes"))


def _control_plane() -> dict[str, Any]:
    return {
        "metadata": {"name": "cp", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
    }


async def _until(call: Any) -> Any:
    for _ in range(200):
        try:
            return await call()
        except ApiError:
            await asyncio.sleep(0.01)
    raise AssertionError("did not happen")


async def test_concurrent_patches_are_all_applied() -> None:
    async with world() as made:
        made.start()
        client = made.client()
        await _ready(client)
        await client.create(resources.CONFIG_MAPS, "default", config_map("c"))
        patches = [client.patch(resources.CONFIG_MAPS, "default", "c", {"data": {f"k{n}": "v"}}) for n in range(12)]
        await asyncio.gather(*patches)
        assert len((await client.get(resources.CONFIG_MAPS, "default", "c"))["data"]) == 12


async def test_one_of_many_creators_of_a_name_wins() -> None:
    async with world() as made:
        made.start()
        client = made.client()
        await _ready(client)
        calls = [client.create(resources.CONFIG_MAPS, "default", config_map("c", by=str(n))) for n in range(8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, ApiError)]
        assert len(refused) == 7
        assert {(error.code, error.reason) for error in refused} == {(409, "AlreadyExists")}


async def test_two_api_servers_never_give_out_one_address_twice() -> None:
    async with world() as made:
        made.start()
        made.start()
        client = made.client()
        await _ready(client)
        spec = {"ports": [{"port": 80}], "clusterIP": "10.96.0.99"}
        calls = [
            client.create(resources.SERVICES, "default", {"metadata": {"name": f"s{n}"}, "spec": dict(spec)})
            for n in range(6)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, ApiError) and outcome.code == 422 for outcome in outcomes) == 5


async def test_a_component_watches_through_the_log() -> None:
    async with world() as made:
        made.start()
        client = made.client()
        await _ready(client)
        context = made.context("watcher")
        watching = Watching(context.bus, context.clock, ApiClient(context.bus, "system:coredns"), made.tasks)
        watch = watching.watch(resources.CONFIG_MAPS, dict, lambda key: None)
        await watch.synced.wait()
        created = await client.create(resources.CONFIG_MAPS, "default", config_map("c", a="1"))
        while watch.revision < int(created["metadata"]["resourceVersion"]):
            await asyncio.sleep(0.001)
        seen = watch.named("default", "c")
        assert seen is not None
        assert seen["data"] == {"a": "1"}
        await client.delete(resources.CONFIG_MAPS, "default", "c")
        while watch.named("default", "c") is not None:
            await asyncio.sleep(0.001)


async def test_a_successor_knows_everything_and_continues_old_watches() -> None:
    async with world() as made:
        first = made.start()
        client = made.client()
        await _ready(client)
        await client.create(resources.CONFIG_MAPS, "default", config_map("c", a="1"))
        second = made.start()
        await second.replica.current.wait()
        key = ObjectKey("", "configmaps", "default", "c")
        assert second.replica.store.get(key) == first.replica.store.get(key)
        assert [c.revision for c in second.replica.store.since(0)] == [c.revision for c in first.replica.store.since(0)]


async def test_compaction_keeps_the_state_and_raises_the_floor() -> None:
    async with world() as made:
        server = made.start()
        client = made.client()
        await _ready(client)
        for number in range(5):
            await client.create(resources.CONFIG_MAPS, "default", config_map("gone"))
            await client.delete(resources.CONFIG_MAPS, "default", "gone")
            body = config_map("kept", n=str(number))
            if number == 0:
                await client.create(resources.CONFIG_MAPS, "default", body)
            await client.patch(resources.CONFIG_MAPS, "default", "kept", {"data": {"n": str(number)}})
        events = len(server.replica.ledger.revisions())
        made.clock.offset += 3600 * SECOND
        await server._compact()
        assert len(server.replica.ledger.revisions()) < events - 10
        assert server.replica.store.floor > 0
        assert (await client.get(resources.CONFIG_MAPS, "default", "kept"))["data"] == {"n": "4"}
        successor = made.start()
        await successor.replica.current.wait()
        assert successor.replica.store.objects(("", "configmaps")) == server.replica.store.objects(("", "configmaps"))
        await client.create(resources.CONFIG_MAPS, "default", config_map("gone"))


async def test_a_foreign_message_is_answered_and_counted() -> None:
    async with world() as made:
        server = made.start()
        client = made.client()
        await _ready(client)
        bus = made.context("stranger").bus
        answer = await pieces.request(bus, subjects.api_request("stranger"), b"\xc1rubbish", 1.0)
        assert b"not an API request" in answer
        await bus.append("kube.events._.pods.default.x", b"rubbish", 0, 1.0)
        await bus.append("kube.events.odd", b"rubbish", 0, 1.0)
        await client.create(resources.CONFIG_MAPS, "default", config_map("c"))
        assert server.replica.foreign == 2


async def _pod_on(client: ApiClient, node: str) -> None:
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "a"}]}
    await client.create(resources.PODS, "default", {"metadata": {"name": "p"}, "spec": spec})


async def test_logs_come_from_the_pods_kubelet_in_order() -> None:
    async with world() as made:
        made.start()
        client = made.client()
        await _ready(client)
        await _pod_on(client, "node-1")
        bus = made.context("kubelet").bus

        async def answer(message: Any) -> bytes:
            asked = codec.decode(LogRequest, message.payload)
            out = subjects.stream_output("node-1", asked.session)
            for frame in (Data(1, 1, b"a\n"), Data(2, 1, b"b\n"), Exit(3, 0)):
                bus.publish(out, codec.encode(frame))
            return codec.encode(StreamOpened(session=asked.session))

        pieces.Responder(bus, made.tasks, answer).serve(subjects.kubelet("node-1"))
        await bus.flush()
        path = resources.PODS.path("default", "p", "log")
        response = await client.request(ApiRequest(method="GET", path=path))
        assert (response.code, response.body) == (200, b"a\nb\n")


@pytest.mark.parametrize("case", ["refused", "gap", "nobody"])
async def test_a_log_that_cannot_be_had_is_an_error(case: str) -> None:
    async with world() as made:
        made.start()
        client = made.client()
        await _ready(client)
        await _pod_on(client, "node-1")
        bus = made.context("kubelet").bus

        async def answer(message: Any) -> bytes:
            asked = codec.decode(LogRequest, message.payload)
            if case == "refused":
                return codec.encode(StreamRefused(code=404, reason="NotFound", message="no such container"))
            bus.publish(subjects.stream_output("node-1", asked.session), codec.encode(Data(2, 1, b"late")))
            return codec.encode(StreamOpened(session=asked.session))

        if case != "nobody":
            pieces.Responder(bus, made.tasks, answer).serve(subjects.kubelet("node-1"))
            await bus.flush()
        with pytest.raises(ApiError) as refused:
            await client.call("GET", resources.PODS.path("default", "p", "log"))
        expected = {"refused": "no such container", "gap": "frames were lost", "nobody": "error dialing backend"}
        assert expected[case] in str(refused.value)
