"""Services with protocol SCTP: agnhost in one pod connects to agnhost in another, to nobody, and to a closed port."""

import asyncio
from typing import Any

from podwire.proto.kube import resources
from podwire.proto.messages.api import ApiRequest

from .conftest import RULES_SETTLE, Booted

Json = dict[str, Any]


def pod(name: str, *arguments: str, labels: dict[str, str] | None = None, policy: str = "Always") -> Json:
    container = {"name": "agnhost", "image": "agnhost:2.53", "args": list(arguments)}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"restartPolicy": policy, "containers": [container]},
    }


def service(name: str, app: str, target: int) -> Json:
    port = {"port": 38412, "targetPort": target, "protocol": "SCTP"}
    return {"metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": [port]}}


def test_what_agnhost_connect_says_of_sctp_services(booted: Booted) -> None:
    cluster, api = booted.cluster, booted.cluster.api

    async def phase(name: str) -> str:
        return str((await api.get(resources.PODS, "default", name))["status"].get("phase", ""))

    async def verdict(name: str, *options: str) -> tuple[str, str]:
        """How a client's pod ends, and what it says."""
        address = (await api.get(resources.SERVICES, "default", name))["spec"]["clusterIP"]
        body = pod(f"to-{name}", "connect", f"{address}:38412", "--protocol=sctp", *options, policy="Never")
        await api.create(resources.PODS, "default", body)

        async def over() -> bool:
            return await phase(f"to-{name}") in ("Succeeded", "Failed")

        await cluster.until(over, 60, f"the client of {name} has ended")
        path = resources.PODS.path("default", f"to-{name}", "log")
        log = (await api.request(ApiRequest(method="GET", path=path))).body.decode()
        return await phase(f"to-{name}"), log

    async def main() -> dict[str, tuple[str, str]]:
        labels = {"app": "amf"}
        await api.create(resources.PODS, "default", pod("amf", "netexec", "--sctp-port=7777", labels=labels))
        for body in (service("amf", "amf", 7777), service("nobody", "nobody", 7777), service("closed", "amf", 7778)):
            await api.create(resources.SERVICES, "default", body)

        async def running() -> bool:
            return await phase("amf") == "Running"

        await cluster.until(running, 30, "the server runs")
        await asyncio.sleep(RULES_SETTLE)
        return {name: await verdict(name, "--timeout=5s") for name in ("amf", "nobody", "closed")}

    assert cluster.run(main()) == {
        "amf": ("Succeeded", ""),
        # kube-proxy rejects it with "port unreachable", which SCTP only takes as a hint: it goes on trying
        "nobody": ("Failed", "TIMEOUT\n"),
        "closed": ("Failed", "OTHER: connection refused\n"),
    }
