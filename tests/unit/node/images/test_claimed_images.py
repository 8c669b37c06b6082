"""What can be run by exec in containers whose own process lives outside the machine."""

import pytest

from podwire.services.node.images.catalogue import find_image


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        ("podwire/kube-proxy:v1.33.0", {"sh", "iptables", "conntrack", "ipset"}, set()),
        ("podwire/flannel:v0.26.0", {"sh", "ip", "bridge"}, set()),
        ("podwire/coredns:v1.12.0", set(), {"sh", "cat"}),
        ("podwire/kube-apiserver:v1.33.0", set(), {"sh", "cat"}),
        ("podwire/somebodys-app", {"sh", "curl"}, set()),
    ],
)
def test_programs(name: str, has: set[str], lacks: set[str]) -> None:
    programs = find_image(name, []).programs
    assert has <= programs.keys()
    assert not lacks & programs.keys()
