"""Draws docs/images/reach.svg, from a simulated cluster: `python -m podwire.scripts.write_reach_image`.

The tutorial's my-api and the pod that asks it, with one machine that drops what goes to the app's port, compared with
rules that want it to be reached. The same seed and version give the same bytes.
"""

from pathlib import Path
from typing import Final

from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.reach.expectation import compared, idle, parse_rules
from podwire.scripts.reach.matrix import Matrix
from podwire.scripts.reach.probing import probe_all
from podwire.scripts.reach.report import Report
from podwire.scripts.reach.survey import Asked, ends
from podwire.scripts.reach.svg import picture
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.scenario import Scenario
from podwire.scripts.testing import calls
from podwire.scripts.testing.serving import Served
from podwire.scripts.trace.resolve import node_addresses

_ROOT: Final = Path(__file__).resolve().parent
TARGET: Final = _ROOT.parent / "docs" / "images" / "reach.svg"
SEED: Final = 7
RULES: Final = """
- {from: default/*, to: default/my-api-*, allowed: true}
- {from: external, to: svc/default/my-api, allowed: false}
"""
_DROPPING: Final = "iptables -I FORWARD -p tcp --dport 8080 -j DROP"


def drawn(seed: int = SEED) -> str:
    """The image."""
    cluster = SimulatedCluster(seed, 2, MANIFESTS / "static")
    try:
        cluster.run(Scenario(cluster, MANIFESTS, lambda _: None).boot())
        _prepare(cluster)
        matrix = cluster.run(_survey(cluster))
    finally:
        cluster.close()
    rules = parse_rules(RULES)
    return picture(Report(matrix, compared(matrix.results, rules), idle(matrix.results, rules), True))


async def _survey(cluster: SimulatedCluster) -> Matrix:
    """Everybody against my-api; the API server's own Service has no HTTPS in a simulation."""
    client = cluster.client
    origins, targets = await ends(client, Asked(services=True, nodes=True, external=True))
    routers = await node_addresses(client, "node-1", "--via")
    return await probe_all(client, origins, [each for each in targets if "my-api" in each.name], 1.0, routers)


def _prepare(cluster: SimulatedCluster) -> None:
    served = Served(cluster)
    manifest = (_ROOT / "demo" / "my-api.yaml").read_text(encoding="utf-8")
    for call in (calls.Apply(manifest, "default", True), calls.Exec([_DROPPING], node="node-2")):
        told = served.answer(call)
        if told.error:
            raise RuntimeError(told.error)


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(drawn(), encoding="utf-8")
