"""Live clusters by `--ip-family`, and what is refused."""

from collections.abc import Callable

import pytest
from live_cluster import WORKLOAD, LiveCluster, podwire, until

from podwire.proto.kube import resources
from podwire.proto.kube.families import IPV6, family_of


@pytest.mark.slow
def test_a_cluster_of_ipv6_alone_serves_and_keeps_its_family(new_cluster: Callable[[], LiveCluster]) -> None:
    cluster = new_cluster()
    cluster.up("--ip-family", "ipv6")
    cluster.apply(*WORKLOAD)
    until(lambda: cluster.serving("my-api", 2) or cluster.connect("node-1"), 30)
    for pod in cluster.list(resources.PODS, "default"):
        assert [family_of(each["ip"]) for each in pod["status"]["podIPs"]] == [IPV6]
    for service in cluster.list(resources.SERVICES, "default"):
        assert [family_of(address) for address in service["spec"]["clusterIPs"]] == [IPV6]
    cluster.down()
    done = podwire("up", "-d", "--api-port", "0", "--data-dir", cluster.data_dir, "--ip-family", "dual")
    assert done.returncode != 0
    assert "--ip-family dual: the cluster in" in done.stderr.replace("\n", " ")
    cluster.down("--purge")


@pytest.mark.parametrize("command", [("up", "-d"), ("sim", "--seed", "1")])
def test_a_family_that_there_is_not_is_refused_by_name(command: tuple[str, ...]) -> None:
    done = podwire(*command, "--ip-family", "v6")
    assert done.returncode != 0
    assert "--ip-family v6: ipv4, dual or ipv6 is needed" in done.stderr
