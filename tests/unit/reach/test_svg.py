"""A matrix as a picture: what a table says is there, as text and as colour."""

from dataclasses import replace
from xml.etree import ElementTree

from podwire.scripts.reach.expectation import Rule, compared, idle
from podwire.scripts.reach.matrix import Matrix, Origin, Result, Target, Verdict, probes
from podwire.scripts.reach.report import Report
from podwire.scripts.reach.svg import picture
from podwire.scripts.trace.resolve import Source

SVG = "{http://www.w3.org/2000/svg}"
ORIGINS = (Origin("default/a", Source("node-1", "default", "a")), Origin("external", Source("external")))
TARGETS = (Target("default/web", "10.244.2.2", 80, "tcp"), Target("svc/default/dns", "10.96.0.5", 53, "udp"))
VERDICTS: tuple[Verdict, ...] = ("reached", "refused", "no answer", "not probed")
RESULTS = tuple(
    Result(probe, verdict, "<why>") for probe, verdict in zip(probes(ORIGINS, TARGETS), VERDICTS, strict=True)
)
MATRIX = Matrix(ORIGINS, TARGETS, RESULTS, 2.0)


def drawn(rules: list[Rule], matrix: Matrix = MATRIX) -> ElementTree.Element:
    report = Report(matrix, compared(matrix.results, rules), idle(matrix.results, rules), bool(rules))
    return ElementTree.fromstring(picture(report))


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_every_probe_is_a_cell_with_mark_colour_and_reason() -> None:
    cells = list(drawn([]).iter(f"{SVG}g"))
    shown = [(cell.find(f"{SVG}rect"), cell.find(f"{SVG}text"), cell.find(f"{SVG}title")) for cell in cells]
    assert [(box.get("class"), mark.text, title.text) for box, mark, title in shown if title is not None] == [
        ("r", "✓", "default/a -> default/web tcp/80: reached (<why>)"),
        ("x", "X", "external -> default/web tcp/80: refused or unreachable (<why>)"),
        ("n", "–", "default/a -> svc/default/dns udp/53: no answer (<why>)"),
        ("q", "?", "external -> svc/default/dns udp/53: not probed (<why>)"),
    ]


def test_rows_and_columns_are_where_their_names_are() -> None:
    root = drawn([])
    boxes = [cell.find(f"{SVG}rect") for cell in root.iter(f"{SVG}g")]
    places = [(int(box.get("x", "")), int(box.get("y", ""))) for box in boxes if box is not None]
    (x, y), *_ = places
    assert places == [(x, y), (x, y + 26), (x + 26, y), (x + 26, y + 26)]
    assert texts(root)[:4] == ["default/web tcp/80", "svc/default/dns udp/53", "default/a", "external"]


def test_what_differs_is_outlined_and_the_comparison_told() -> None:
    root = drawn([Rule(False, "default/a", "default/web"), Rule(False, "external", "default/*")])
    outlined = [cell for cell in root.iter(f"{SVG}g") if len(cell.findall(f"{SVG}rect")) == 2]
    (title,) = [cell.findtext(f"{SVG}title") for cell in outlined]
    assert title == "default/a -> default/web tcp/80: reached (<why>), but rule 1 wants it denied"
    assert "not as the rules want it" in texts(root) and "2 compared, 1 difference" in texts(root)


def test_colours_follow_the_readers_scheme_and_nothing_leaves_the_picture() -> None:
    root = drawn([], replace(MATRIX, targets=(TARGETS[0], replace(TARGETS[1], name="svc/default/" + "n" * 200))))
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")
    width = int(root.get("width", ""))
    assert all(len(text) <= 60 for text in texts(root)[:4]) and width < 800
