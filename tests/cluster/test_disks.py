"""What a machine still has after it lost its power: what was on its disk, and nothing that was in memory."""

import asyncio
from collections.abc import Callable

import pytest

from podwire.proto.kube import resources
from podwire.scripts.simulation.cluster import SimulatedCluster

from .conftest import Booted
from .operating import shell
from .pods import Pods
from .pods import shell as container

NODE = "node-2"


def cut(cluster: SimulatedCluster) -> None:
    """The machine alone is gone, and what runs on it finds a new one."""
    cluster.kill(cluster.find(f"node@{NODE}"))


def cut_all(cluster: SimulatedCluster) -> None:
    """The power of the machine and of everything on it."""
    cluster.power_off(NODE)
    cluster.loop.call_later(1.0, cluster.power_on, NODE)


async def boot_id(booted: Booted) -> str:
    node = await booted.cluster.api.get(resources.NODES, "", NODE)
    found: str = node["status"]["nodeInfo"]["bootID"]
    return found


@pytest.mark.parametrize("lose", [cut, cut_all])
def test_files(booted: Booted, lose: Callable[[SimulatedCluster], None]) -> None:
    async def main() -> None:
        written = (
            "mkdir -p /srv/a && echo kept >/srv/a/b && ln -s a/b /srv/link && chmod 600 /srv/a/b && rm /etc/os-release"
        )
        _, code = await shell(booted, NODE, f"{written} && echo gone >/run/b && echo gone >/tmp/b")
        assert code == 0
        before = await boot_id(booted)
        lose(booted.cluster)

        async def has_booted() -> bool:
            return await boot_id(booted) != before

        await booted.cluster.until(has_booted, 30, "it has booted")
        await booted.cluster.until(booted.scenario.whole, 60, "whole again")
        text, _ = await shell(booted, NODE, "cat /srv/link; stat -c %a /srv/a/b; ls /etc/os-release /run/b /tmp/b")
        assert text.split("\n")[:2] == ["kept", "600"] and text.count("No such file or directory") == 3

    booted.cluster.run(main())


def test_volumes(booted: Booted) -> None:
    """A hostPath volume is a folder of the disk; an emptyDir is made anew with the pod's sandbox."""

    async def main() -> None:
        pods = Pods(booted)
        volumes = [
            {"name": "disk", "hostPath": {"path": "/srv/volume", "type": "DirectoryOrCreate"}},
            {"name": "empty", "emptyDir": {}},
        ]
        mounts = [{"name": "disk", "mountPath": "/disk"}, {"name": "empty", "mountPath": "/empty"}]
        count = "for at in disk empty; do echo x >>/$at/starts; echo $at $(wc -l </$at/starts); done; sleep 10000"
        await pods.create("counts", container("c", count, volumeMounts=mounts), volumes=volumes, nodeName=NODE)
        await pods.until("counts", lambda pod: pod["status"]["phase"] == "Running", 30, "it runs")
        cut_all(booted.cluster)

        async def again() -> bool:
            return "disk 2" in await pods.log("counts", "c")

        await booted.cluster.until(again, 90, "it runs again")
        assert await pods.log("counts", "c") == "disk 2\nempty 1\n"

    booted.cluster.run(main())


def test_addresses_are_handed_out_on(booted: Booted) -> None:
    """host-local's last reserved address is on the disk: a pod of the new boot has none of an old one's."""

    async def main() -> None:
        pods = Pods(booted)
        await pods.create("old", container("c", "sleep 10000"), nodeName=NODE, terminationGracePeriodSeconds=0)
        old = await pods.until("old", lambda pod: "podIP" in pod["status"], 30, "it has an address")
        cut_all(booted.cluster)
        await asyncio.sleep(2)
        await booted.cluster.until(booted.scenario.whole, 60, "whole again")
        new = await pods.until("old", lambda pod: pod["status"]["podIP"] != old["status"]["podIP"], 30, "a new address")
        kept, _ = await shell(booted, NODE, "ls /var/lib/cni/networks/cbr0")
        assert new["status"]["podIP"] in kept and old["status"]["podIP"] not in kept

    booted.cluster.run(main())
