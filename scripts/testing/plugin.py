"""pytest's side, loaded at every start of pytest where podwire is installed: so it imports nothing until it is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from podwire.scripts.testing.cluster import Cluster
    from podwire.scripts.testing.roots import Roots, Shape

_MARKER = "podwire"
_HELP = (
    "podwire(manifests=[FILE, …], nodes=2, ip_family='ipv4', proxy_mode='iptables', seed=0): "
    "what the fixture `cluster` is made of; files are looked for beside the test, then in the root folder"
)
_ROOTS: pytest.StashKey[Roots] = pytest.StashKey()
_CLUSTER: pytest.StashKey[Cluster] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", _HELP)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends what was booted."""
    roots = config.stash.get(_ROOTS, None)
    if roots is not None:
        roots.close()
        del config.stash[_ROOTS]


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A simulated Kubernetes cluster of this test's own, whole and Ready; `@pytest.mark.podwire` says of what."""
    from podwire.scripts.testing.calls import ClusterError

    shape, manifests = _wanted(request.node)
    try:
        made = _roots(request.config).fork(shape, manifests)
    except ClusterError as error:
        pytest.fail(f"podwire: {error}", pytrace=False)
    request.node.stash[_CLUSTER] = made
    yield made
    made.close()


def _roots(config: pytest.Config) -> Roots:
    from podwire.scripts.testing.roots import Roots

    return config.stash.setdefault(_ROOTS, Roots()) if _ROOTS not in config.stash else config.stash[_ROOTS]


def _wanted(node: pytest.Item) -> tuple[Shape, tuple[str, ...]]:
    """What the markers say; the nearest counts."""
    from podwire.scripts.testing.roots import Shape

    given: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers(_MARKER))):
        if mark.args:
            pytest.fail(f"pytest.mark.podwire{mark.args}: its arguments have names: {_HELP}", pytrace=False)
        given |= mark.kwargs
    files = given.pop("manifests", ())
    files = [files] if isinstance(files, str | Path) else files
    try:
        shape = Shape(**given)
    except TypeError as error:
        pytest.fail(f"pytest.mark.podwire: {str(error).partition(' ')[2]}; there are {_HELP}", pytrace=False)
    return shape, tuple(_read(node, str(file)) for file in files)


def _read(node: pytest.Item, file: str) -> str:
    for folder in (node.path.parent, node.config.rootpath):
        if (folder / file).is_file():
            return (folder / file).read_text(encoding="utf-8")
    places = f"{node.path.parent} or {node.config.rootpath}"
    pytest.fail(f"pytest.mark.podwire: manifests: {file}: no such file in {places}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows how the packets of its last exchange went."""
    report = yield
    made = item.stash.get(_CLUSTER, None)
    if report.failed and made is not None and made.exchanges:
        last = made.exchanges[-1]
        report.sections.append(("podwire: the last exchange", f"{last}\n{last.cause}\n\n{last.trace.rstrip()}"))
    if report.failed and made is not None and made.errors:
        report.sections.append(("podwire: errors of components", "\n".join(made.errors)))
    return report
