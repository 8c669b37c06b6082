"""The images in docs/packets.md and docs/reach.md: one seed, one picture."""

import xml.etree.ElementTree as ElementTree

from podwire.scripts import write_reach_image
from podwire.scripts.write_trace_image import TARGET, picture


def test_the_same_seed_draws_the_same_bytes() -> None:
    text = picture()
    assert text == picture()
    for wanted in ("DNAT (nat)", "VXLAN vni 1, +50 bytes", "VXLAN vni 1, -50 bytes", "tcp LISTEN", "HTTP 200 OK"):
        assert wanted in text


def test_the_image_that_is_checked_in_is_one() -> None:
    assert ElementTree.parse(TARGET).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_matrix_that_is_checked_in_is_what_a_cluster_says() -> None:
    text = write_reach_image.drawn()
    root, kept = ElementTree.fromstring(text), ElementTree.parse(write_reach_image.TARGET).getroot()
    assert kept.tag == root.tag
    for wanted in ("no answer within 1 s), but rule 1 wants it allowed", "reached (connected)"):
        assert wanted in text
