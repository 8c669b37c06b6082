"""The names of the world outside."""

import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podwire.services.node.outside.zone import read_zone

RECORDS = """
; the world
example.com 60 IN A 192.0.2.1
example.com A 192.0.2.2      # a second one
EXAMPLE.com. MX 10 mail.example.com
www.example.com CNAME example.com
*.apps.example.com A 192.0.2.9
deep.er.example.org A 192.0.2.3
round.example.org CNAME trip.example.org
trip.example.org CNAME round.example.org
"""


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "expected"),
    [
        ("example.com", "A", dns.rcode.NOERROR, ["192.0.2.1", "192.0.2.2"]),
        ("Example.COM", "A", dns.rcode.NOERROR, ["192.0.2.1", "192.0.2.2"]),
        ("example.com", "MX", dns.rcode.NOERROR, ["10 mail.example.com."]),
        ("example.com", "AAAA", dns.rcode.NOERROR, []),
        ("www.example.com", "A", dns.rcode.NOERROR, ["192.0.2.1", "192.0.2.2", "example.com."]),
        ("one.apps.example.com", "A", dns.rcode.NOERROR, ["192.0.2.9"]),
        ("a.b.apps.example.com", "A", dns.rcode.NOERROR, ["192.0.2.9"]),
        ("er.example.org", "A", dns.rcode.NOERROR, []),
        ("nothing.example.org", "A", dns.rcode.NXDOMAIN, []),
        ("nothing", "A", dns.rcode.NXDOMAIN, []),
    ],
)
def test_answers(name: str, kind: str, rcode: int, expected: list[str]) -> None:
    zone, wrong = read_zone(RECORDS)
    assert wrong == []
    answer = zone.answer(dns.message.make_query(name, kind))
    assert answer.rcode() == rcode
    assert sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset) == expected
    assert bool(answer.authority) == (not any(rrset.rdtype == dns.rdatatype.from_text(kind) for rrset in answer.answer))


def test_aliases_in_a_circle_end() -> None:
    assert read_zone(RECORDS)[0].answer(dns.message.make_query("round.example.org", "A")).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("line", ["example.com", "example.com A", "example.com A 1.2.3", "a..b A 1.2.3.4", "x NONE y"])
def test_lines_that_are_no_records_are_told(line: str) -> None:
    zone, wrong = read_zone(f"{line}\nexample.org A 192.0.2.1")
    assert len(wrong) == 1 and wrong[0].startswith(repr(line))
    assert zone.knows("example.org.")


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_and_a_record_behind_it_too(text: str) -> None:
    zone, wrong = read_zone(f"{text}\nlast.example.net A 192.0.2.1")
    assert zone.knows("last.example.net.")
    assert len(wrong) <= len(text.splitlines())
