"""Names in a whole cluster: CoreDNS at work by its Corefile, and the world outside that it forwards to."""

import asyncio
from typing import Final

import pytest

from podwire.proto.kube import resources

from .conftest import Booted
from .pods import Pods, output_of, run

SYSTEM: Final = "kube-system"
METRICS: Final = "kube-dns.kube-system.svc.cluster.local:9153/metrics"
A_RELOAD: Final = 60.0 + 45.0
"""Seconds: the kubelet's until the volume has the new Corefile, CoreDNS's until it looks."""


async def _logs(pods: Pods) -> str:
    found = await pods.api.list(resources.PODS, SYSTEM)
    names = [pod["metadata"]["name"] for pod in found if pod["metadata"]["name"].startswith("coredns")]
    return "".join([await pods.log(name, "coredns", SYSTEM) for name in names])


async def _edit_corefile(pods: Pods, old: str, new: str) -> None:
    config = await pods.api.get(resources.CONFIG_MAPS, SYSTEM, "coredns")
    text = config["data"]["Corefile"]
    assert old in text
    await pods.api.patch(resources.CONFIG_MAPS, SYSTEM, "coredns", {"data": {"Corefile": text.replace(old, new)}})


def test_names_of_the_world_outside_are_what_the_user_says(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        assert "Address: 93.184.215.14" in await output_of(pods, "before", "nslookup www.example.com")
        records = {"data": {"mine": "*.apps.example.org 60 IN A 192.0.2.80"}}
        await pods.api.patch(resources.CONFIG_MAPS, SYSTEM, "outside-dns", records)
        assert "Address: 192.0.2.80" in await output_of(pods, "after", "nslookup shop.apps.example.org")
        assert "NXDOMAIN" in await output_of(pods, "nothing", "nslookup nothing.example.org")

    run(booted, work)


def test_an_externalname_leads_outside(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        spec = {"type": "ExternalName", "externalName": "www.example.com"}
        await pods.api.create(resources.SERVICES, "default", {"metadata": {"name": "world"}, "spec": spec})
        said = await output_of(pods, "asker", "nslookup world")
        assert "canonical name = www.example.com" in said
        assert "Address: 93.184.215.14" in said

    run(booted, work)


@pytest.mark.parametrize(("image", "answer"), [("debian", "192.0.2.7"), ("busybox", "bad address 'default'")])
def test_a_name_without_addresses_ends_the_search_in_busybox_but_not_in_debian(
    booted: Booted, image: str, answer: str
) -> None:
    """The namespace `default` is a name in svc.cluster.local, and stands in the way of the one that the world has."""

    async def work(pods: Pods) -> None:
        records = {"data": {"mine": "default 60 IN A 192.0.2.7"}}
        await pods.api.patch(resources.CONFIG_MAPS, SYSTEM, "outside-dns", records)
        await asyncio.sleep(2)
        script = {"debian": "getent hosts default", "busybox": "ping -c 1 -W 1 default"}[image]
        container = {"name": "c", "image": image, "command": ["sh", "-c", f"{script} 2>&1"]}
        await pods.create("asker", container, restartPolicy="Never")
        await pods.until("asker", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), 60, "it has ended")
        assert answer in await pods.log("asker", "c")

    run(booted, work)


@pytest.mark.slow
def test_a_new_corefile_is_taken_and_a_bad_one_is_not(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        hosts = "hosts {\n           192.0.2.7 printer.example.net\n           fallthrough\n        }\n        ready"
        await _edit_corefile(pods, "ready", hosts)
        await asyncio.sleep(A_RELOAD)
        assert "Address: 192.0.2.7" in await output_of(pods, "good", "nslookup printer.example.net")
        await _edit_corefile(pods, "cache 30", "cash 30")
        await asyncio.sleep(A_RELOAD)
        assert "Address: 192.0.2.7" in await output_of(pods, "still", "nslookup printer.example.net")
        lines = await _logs(pods)
        assert "[INFO] Reloading complete" in lines
        reason = "/etc/coredns/Corefile:20 - Error during parsing: Unknown directive 'cash'"
        assert f"[ERROR] plugin/reload: Corefile changed but reload failed: {reason}" in lines
        page = await output_of(pods, "counted", f"wget -qO- http://{METRICS}")
        assert "coredns_reload_failed_total 1" in page

    run(booted, work)


def test_metrics_tell_what_was_asked(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        script = "nslookup nothing >/dev/null; wget -qO- http://" + METRICS
        page = await output_of(pods, "scraper", script)
        assert 'coredns_build_info{goversion="",revision="podwire",version="1.12.0"} 1' in page
        assert 'coredns_dns_requests_total{family="1",proto="udp",server="dns://:53",type="A",view="",zone="."}' in page

    run(booted, work)


@pytest.mark.slow
def test_forwarding_in_a_circle_ends_coredns_and_says_why(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        await _edit_corefile(pods, "forward . /etc/resolv.conf", "forward . 10.96.0.10")
        await asyncio.sleep(A_RELOAD + 30)
        assert "[FATAL] plugin/loop: Loop (" in await _logs_before(pods)

    run(booted, work)


async def _logs_before(pods: Pods) -> str:
    """What CoreDNS's containers said before they were started again."""
    found = await pods.api.list(resources.PODS, SYSTEM)
    names = [pod["metadata"]["name"] for pod in found if pod["metadata"]["name"].startswith("coredns")]
    return "".join([await pods.log(name, "coredns", SYSTEM, previous=True) for name in names])
