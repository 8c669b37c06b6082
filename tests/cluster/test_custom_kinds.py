"""Kinds of one's own in a whole cluster: components watch them, their objects own others, namespaces end them."""

import asyncio
from typing import Any

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource

from .conftest import Booted

Json = dict[str, Any]
WIDGETS = Resource("example.com", "v1", "widgets", "Widget")
DEFINITION: Json = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def test_owners_of_a_custom_kind(booted: Booted) -> None:
    api, cluster = booted.cluster.api, booted.cluster

    async def left() -> list[str]:
        return [each["metadata"]["name"] for each in await api.list(resources.CONFIG_MAPS, "default")]

    async def main() -> None:
        await api.create(resources.DEFINITIONS, "", DEFINITION)

        async def served() -> bool:
            found = await api.get(resources.DEFINITIONS, "", "widgets.example.com")
            return any(each["type"] == "Established" for each in found["status"]["conditions"])

        await cluster.until(served, 10, "the definition is established")
        for name in ("kept", "gone"):
            owner = await api.create(WIDGETS, "default", {"metadata": {"name": name}})
            meta = owner["metadata"]
            reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": name, "uid": meta["uid"]}
            owned = {"metadata": {"name": f"of-{name}", "ownerReferences": [reference]}}
            await api.create(resources.CONFIG_MAPS, "default", owned)
        await api.delete(WIDGETS, "default", "gone")

        async def collected() -> bool:
            return "of-gone" not in await left()

        await cluster.until(collected, 10, "the dependent goes with its owner")
        assert "of-kept" in await left()
        cluster.kill(cluster.find("controllers"))
        await asyncio.sleep(3)
        await api.delete(resources.DEFINITIONS, "", "widgets.example.com")

        async def all_collected() -> bool:
            return "of-kept" not in await left()

        await cluster.until(all_collected, 20, "the dependents go with the definition")

    cluster.run(main())


def test_a_namespace_takes_custom_objects_along(booted: Booted) -> None:
    api, cluster = booted.cluster.api, booted.cluster

    async def main() -> None:
        await api.create(resources.DEFINITIONS, "", DEFINITION)
        await api.create(resources.NAMESPACES, "", {"metadata": {"name": "shop"}})

        async def made() -> bool:
            listed = (await api.call("GET", "/apis")).get("groups", [])
            return any(group["name"] == "example.com" for group in listed)

        await cluster.until(made, 10, "the kind is served")
        await api.create(WIDGETS, "shop", {"metadata": {"name": "one"}})
        await api.delete(resources.NAMESPACES, "", "shop")

        async def gone() -> bool:
            names = [each["metadata"]["name"] for each in await api.list(resources.NAMESPACES)]
            return "shop" not in names and not await api.list(WIDGETS)

        await cluster.until(gone, 20, "the namespace and its widget are gone")
        assert [each["metadata"]["name"] for each in await api.list(resources.DEFINITIONS)].count(
            DEFINITION["metadata"]["name"]
        ) == 1

    cluster.run(main())
