"""Sequence diagrams: who takes part, what is drawn, and that it is XML whatever the texts are."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.flights import flights
from podwire.scripts.trace.sequence import Arrow, Diagram, Heading, Note, Participant, diagram
from podwire.scripts.trace.svg import render

SYN = "IP 10.244.1.5.40000 > 10.96.45.123.80: Flags [S], seq 7, win 65535, length 0"
TRANSLATED = "IP 10.244.1.5.40000 > 10.244.2.3.8080: Flags [S], seq 7, win 65535, length 0"
OUTER = f"IP 172.18.0.3.4 > 172.18.0.4.8472: OTV/VXLAN, flags [I] (0x08), vni 1: {TRANSLATED}"
SVG = "{http://www.w3.org/2000/svg}"


def hop(summary: str, time: int, kind: str, node: str = "node-1", netns: str = "", **more: object) -> Hop:
    values = {"trace": "t", "summary": summary, "kind": kind, "netns": netns, "node": node, **more}
    return Hop(sequence=time, time=time * 1000, **values)  # type: ignore[arg-type]  # a table of plain values


RULES = {"hook": "PREROUTING", "table": "nat"}
HOPS = [
    hop(SYN, 1, "device-transmit", netns="default/a", device="eth0"),
    hop(SYN, 2, "device-receive", device="veth1"),
    hop(SYN, 3, "rule", chain="PREROUTING", verdict="KUBE-SVC-X", **RULES),
    hop(SYN, 4, "rule", chain="KUBE-SVC-X", verdict="DNAT", **RULES),
    hop(TRANSLATED, 5, "nat", table="nat", verdict="DNAT", before="10.96.45.123:80", after="10.244.2.3:8080"),
    hop(TRANSLATED, 6, "encapsulate", device="flannel.1", outer_source="172.18.0.3", outer_destination="172.18.0.4",
        vni=1, bytes_added=50),
    hop(OUTER, 7, "device-transmit", device="eth0"),
    hop(OUTER, 2007, "device-receive", "node-2", device="eth0"),
    hop(TRANSLATED, 2008, "decapsulate", "node-2", device="flannel.1", vni=1, bytes_added=-50),
    hop(TRANSLATED, 2009, "drop", "node-2", device="cni0", reason="NEIGH_FAILED", detail="10.244.2.3 did not answer"),
]  # fmt: skip  # a table


def test_what_a_diagram_of_a_dead_packet_says() -> None:
    made = diagram("a to b", flights(HOPS))
    assert made.participants == (
        Participant("node-1", "default/a"), Participant("node-1", ""), Participant("node-2", "")
    )  # fmt: skip  # a table
    advice = "nobody answers ARP for this address: it belongs to no pod or node that is up"
    assert made.steps == (
        Heading("request", SYN),
        Arrow(0, 1, "10.244.1.5:40000 → 10.96.45.123:80", ("eth0 → veth1  +1 µs",), False),
        Note(1, ("DNAT (nat)", "10.96.45.123:80 → 10.244.2.3:8080", "PREROUTING", "KUBE-SVC-X"), "translation"),
        Note(1, ("flannel.1: VXLAN vni 1, +50 bytes", "172.18.0.3 → 172.18.0.4"), "tunnel"),
        Arrow(1, 2, "10.244.1.5:40000 → 10.244.2.3:8080", ("eth0 → eth0  +2.0 ms", "VXLAN 172.18.0.3 → 172.18.0.4"),
              True),
        Note(2, ("flannel.1: VXLAN vni 1, -50 bytes",), "tunnel"),
        Note(2, ("dropped at cni0: NEIGH_FAILED", "10.244.2.3 did not answer", advice), "drop"),
    )  # fmt: skip  # a table


def test_the_picture_holds_all_of_it_and_is_the_same_each_time() -> None:
    made = diagram("a → b", flights(HOPS), "failed: no answer")
    text = render(made)
    assert text == render(diagram("a → b", flights(list(reversed(HOPS))), "failed: no answer"))
    root = ElementTree.fromstring(text)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for wanted in ("a → b", "node-2", "pod default/a", "host namespace", "DNAT (nat)", "failed: no answer", "request"):
        assert wanted in texts
    arrows = [line for line in root.iter(f"{SVG}line") if line.get("marker-end")]
    assert [line.get("marker-end") for line in arrows] == ["url(#arrow)", "url(#tunnel)"]


def boxes(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(each.get("x", "0")), float(each.get("width", "0"))) for each in root.iter(f"{SVG}rect")]


def test_everything_lies_inside() -> None:
    root = ElementTree.fromstring(render(diagram("x", flights(HOPS))))
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    assert all(x >= 0 and x + wide <= width for x, wide in boxes(root))
    assert all(0 < float(each.get("y", "")) < height for each in root.iter(f"{SVG}text"))


lines = st.text(max_size=60)
several = st.lists(lines, min_size=1, max_size=3).map(tuple)
at = st.integers(0, 2)
steps = st.lists(
    st.builds(Heading, lines, lines)
    | st.builds(Arrow, at, at, lines, several, st.booleans())
    | st.builds(Note, at, several, st.just("drop")),
    max_size=4,
).map(tuple)  # fmt: skip  # a table
people = st.tuples(*[st.builds(Participant, lines, lines)] * 3)


@given(st.builds(Diagram, lines, people, steps, lines))
def test_any_texts_make_xml(made: Diagram) -> None:
    ElementTree.fromstring(render(made))


@pytest.mark.parametrize("text", ["\ud800", "\0", "\ufffe", "<&\"'>"])
def test_characters_that_xml_cannot_hold(text: str) -> None:
    made = render(Diagram(text, (Participant(text, text),), (Heading(text, text),), text))
    ElementTree.fromstring(made.encode())
