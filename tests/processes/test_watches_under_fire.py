"""A watch tells every change once and in order, whatever dies meanwhile; no acknowledged write is lost."""

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
import pytest
from https_client import session
from live_cluster import LiveCluster, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WRITERS: Final = 50
WRITES: Final = 30
KILLS: Final = 20
PATH: Final = "/api/v1/namespaces/default/configmaps"
NO_ANSWER: Final = (aiohttp.ClientError, TimeoutError, ConnectionError)
type Json = dict[str, Any]


class Watcher:
    """Follows a collection as client-go's reflector does: from the last revision that was seen, again and again."""

    def __init__(self, http: aiohttp.ClientSession, selector: str, start: str) -> None:
        self._http, self._selector, self._last = http, selector, start
        self.events: list[tuple[str, int, str, Json]] = []
        """Type, revision, name and labels of each event."""
        self.opened = 0

    async def run(self) -> None:
        while True:
            try:
                async for line in self._lines():
                    self._take(json.loads(line))
            except NO_ANSWER:
                await asyncio.sleep(0.02)

    async def _lines(self) -> AsyncIterator[bytes]:
        query = {"watch": "1", "resourceVersion": self._last, "labelSelector": self._selector}
        async with self._http.get(PATH, params=query) as answer:
            if answer.status != 200:
                await asyncio.sleep(0.02)
                return
            self.opened += 1
            async for line in answer.content:
                yield line

    def _take(self, event: Json) -> None:
        assert event["type"] != "ERROR", event
        meta = event["object"]["metadata"]
        self._last = meta["resourceVersion"]
        self.events.append((event["type"], int(self._last), meta["name"], meta.get("labels", {})))


class Writers:
    """Each raises a counter in a ConfigMap of its own; what was acknowledged is written down."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.acknowledged: dict[tuple[str, int], int] = {}

    async def write(self, number: int) -> None:
        name = f"fire-{number}"
        for count in range(WRITES):
            self.acknowledged[name, count] = await self._until_written(name, count)

    async def _until_written(self, name: str, count: int) -> int:
        while True:
            found = await self._read(name)
            if found is not None and int(found["data"]["count"]) == count:
                return int(found["metadata"]["resourceVersion"])
            try:
                written = await self._try(name, count, found)
            except NO_ANSWER:
                written = 0
            if written:
                return written
            await asyncio.sleep(0.02)

    async def _try(self, name: str, count: int, found: Json | None) -> int:
        labels = {"fire": "1", "parity": "even" if count % 2 == 0 else "odd"}
        meta: Json = {"name": name, "labels": labels}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"count": str(count)}}
        if found is None:
            call = self._http.post(PATH, json=body)
        else:
            meta["resourceVersion"] = found["metadata"]["resourceVersion"]
            call = self._http.put(f"{PATH}/{name}", json=body)
        async with call as answer:
            given = await answer.json()
            return int(given["metadata"]["resourceVersion"]) if answer.status in (200, 201) else 0

    async def _read(self, name: str) -> Json | None:
        while True:
            try:
                async with self._http.get(f"{PATH}/{name}") as answer:
                    if answer.status in (200, 404):
                        found: Json = await answer.json()
                        return found if answer.status == 200 else None
            except NO_ANSWER:
                pass
            await asyncio.sleep(0.02)


async def kill(cluster: LiveCluster, writers: Writers) -> None:
    """API server and NATS in turn, whenever another part of the writes is through."""
    chance = random.Random(7)
    for number in range(KILLS):
        wanted = (number + 1) * WRITERS * WRITES // (KILLS + 2)
        while len(writers.acknowledged) < wanted:
            await asyncio.sleep(0.005)
        target = chance.choice(("apiserver", "nats"))
        os.kill(cluster.process(target).pid, signal.SIGKILL)
        await asyncio.sleep(0.3)


async def exact(http: aiohttp.ClientSession, revision: int, selector: str) -> dict[str, int]:
    """The selected objects' revisions as of one revision of the cluster."""
    query = {"resourceVersion": str(revision), "resourceVersionMatch": "Exact", "labelSelector": selector}
    async with http.get(PATH, params=query) as answer:
        listed = await answer.json()
        assert answer.status == 200, listed
        return {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in listed["items"]}


def states(events: list[tuple[str, int, str, Json]]) -> list[tuple[int, dict[str, int]]]:
    """What a watcher knows after each event."""
    known: dict[str, int] = {}
    found = []
    for kind, revision, name, _ in events:
        if kind == "DELETED":
            known.pop(name)
        else:
            assert (name in known) == (kind == "MODIFIED"), (kind, revision, name)
            known[name] = revision
        found.append((revision, dict(known)))
    return found


async def until_async(missing: Callable[[], str], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while missing():
            await asyncio.sleep(0.02)


def test_a_watch_sees_every_change_once_and_in_order(cluster: LiveCluster) -> None:
    until(cluster.missing, 20)

    async def work() -> None:
        async with session(cluster) as http:
            async with http.get(PATH) as answer:
                start = (await answer.json())["metadata"]["resourceVersion"]
            everything, even = Watcher(http, "fire=1", start), Watcher(http, "fire=1,parity=even", start)
            following = [asyncio.create_task(watcher.run()) for watcher in (everything, even)]
            await until_async(lambda: "" if everything.opened and even.opened else "no watch is open", 10)
            writers = Writers(http)
            await asyncio.gather(kill(cluster, writers), *(writers.write(number) for number in range(WRITERS)))
            newest = max(writers.acknowledged.values())
            await until_async(lambda: "" if everything.events[-1][1] >= newest else "the watch lags", 10)
            await check_everything(http, everything, writers)
            await check_selection(http, even)
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    cluster.run(lambda _: work())
    until(cluster.missing, 20)


async def check_everything(http: aiohttp.ClientSession, watcher: Watcher, writers: Writers) -> None:
    revisions = [revision for _, revision, _, _ in watcher.events]
    assert revisions == sorted(set(revisions)), "a change twice, or out of order"
    lost = {key: revision for key, revision in writers.acknowledged.items() if revision not in set(revisions)}
    assert lost == {}, "acknowledged writes that no watch told of"
    assert len(revisions) == WRITERS * WRITES, "a write that took place twice"
    assert watcher.opened > 1, "nothing broke the watch"
    revision, known = states(watcher.events)[-1]
    assert await exact(http, revision, "fire=1") == known
    assert known == {name: writers.acknowledged[name, WRITES - 1] for name, _ in writers.acknowledged}


async def check_selection(http: aiohttp.ClientSession, watcher: Watcher) -> None:
    """Folded, the watch is what a list of that moment shows, at every step."""
    for revision, known in states(watcher.events):
        assert await exact(http, revision, "fire=1,parity=even") == known, revision
