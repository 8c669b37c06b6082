"""What kube-proxy writes for a fixed set of Services is text that this machine's own tools take, in both families."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from podwire.proto.messages.kernel import IpsetRestore, IptablesRestore
from podwire.services.kube_proxy.core.family import FAMILIES, Family
from podwire.services.kube_proxy.core.iptables.book import IptablesBook
from podwire.services.kube_proxy.core.ipvs.book import IpvsBook
from podwire.services.kube_proxy.core.nftables.book import NftablesBook
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.surroundings import Surroundings

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "kube_proxy" / "walk"))

from proxy_plan import CLUSTER_CIDR, NODE, of
from proxy_services import fold

RESTORES = [
    (family, program)
    for family, tool in (("ipv4", "iptables"), ("ipv6", "ip6tables"))
    for program in (f"{tool}-legacy-restore", f"{tool}-nft-restore")
]


def why_not(*programs: str) -> str:
    """What is missing to ask the tools in a network namespace of its own; "" if nothing is."""
    absent = [program for program in ("unshare", *programs) if shutil.which(program) is None]
    if absent:
        return f"no {', '.join(absent)}"
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "network namespaces need root"


def ask(text: str, *command: str) -> str:
    """What a tool complains about, alone in a namespace."""
    done = subprocess.run(
        ["unshare", "-n", *command], input=text, capture_output=True, text=True, check=False, timeout=50
    )
    return "" if done.returncode == 0 else done.stderr or f"exit {done.returncode}"


def around(family: Family, *, primary: bool = False) -> Surroundings:
    """A node of the plan."""
    own = of(family, NODE)
    addresses = (own,) if primary else None
    return Surroundings(
        family=family, node_ip=own, cluster_cidr=of(family, CLUSTER_CIDR), node_port_addresses=addresses
    )


@pytest.mark.root
@pytest.mark.parametrize(("family", "program"), RESTORES)
def test_iptables_mode(family: Family, program: str, tmp_path: Path) -> None:
    if reason := why_not(program):
        pytest.skip(reason)
    known, book = fold(family), IptablesBook(around(family))
    changes = known.take()
    whole = book.full_text(known.states, [])
    assert ask(whole, program, "--test") == ""
    assert ask(whole, program) == ""
    assert ask("*nat\n-A NOWHERE -j NOTHING\nCOMMIT\n", program), "the guard can fail"
    part = book.update_text([change._replace(before=change.after, after=None) for change in changes])
    script = f'{program} < "$1" && {program} --noflush < "$2"'
    assert ask("", "bash", "-c", script, "-", *_files(tmp_path, whole, part)) == ""


def _files(folder: Path, *texts: str) -> list[str]:
    paths = [folder / str(number) for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


@pytest.mark.root
@pytest.mark.parametrize("primary", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_nftables_mode(family: Family, primary: bool) -> None:
    if reason := why_not("nft"):
        pytest.skip(reason)
    known, book = fold(family), NftablesBook(around(family, primary=primary))
    known.take()
    assert ask(book.full_text(known.states), "nft", "-c", "-f", "-") == ""
    assert ask("add rule ip nowhere nothing accept\n", "nft", "-c", "-f", "-"), "the guard can fail"


@pytest.mark.root
@pytest.mark.parametrize(("family", "program"), RESTORES)
def test_ipvs_mode(family: Family, program: str, tmp_path: Path) -> None:
    if reason := why_not(program, "ipset"):
        pytest.skip(reason)
    if ask("create x hash:ip,port,net\n", "ipset", "restore"):
        pytest.skip("the kernel has no ipsets of type hash:ip,port,net")
    known, book = fold(family), IpvsBook(around(family))
    known.take()
    operations = book.full(known.states, Observed(addresses={of(family, NODE): "eth0"}))
    [sets] = [each.text for each in operations if isinstance(each, IpsetRestore)]
    [rules] = [each.text for each in operations if isinstance(each, IptablesRestore)]
    assert ask(sets, "ipset", "restore") == ""
    if ask("*filter\n-A INPUT -m ipvs --ipvs -j DROP\nCOMMIT\n", program):  # a kernel without xt_ipvs
        rules = "".join(line for line in rules.splitlines(keepends=True) if "-m ipvs" not in line)
    script = f'ipset restore < "$1" && {program} < "$2"'
    assert ask("", "bash", "-c", script, "-", *_files(tmp_path, sets, rules)) == ""
