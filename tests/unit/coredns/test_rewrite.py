"""The fields of `rewrite` beyond names and types: classes, EDNS options, codes, targets of aliases."""

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import pytest
from tests.unit.coredns.conftest import MakeDns, answering, corefile, texts

from podwire.services.coredns.core.query import Ask


def test_rewritten_classes(make_dns: MakeDns) -> None:
    made = make_dns(corefile("rewrite class CH IN", "forward . 192.0.2.1"))
    made.upstream = answering("a.example.com. 300 IN A 192.0.2.9")
    answer = made.put(dns.message.make_query("a.example.com", "A", "CH", id=7))
    assert made.asked[0].message.question[0].to_text() == "a.example.com. IN A"
    assert answer.question[0].to_text() == "a.example.com. CH A"


@pytest.mark.parametrize(
    ("rule", "held", "sent"),
    [
        ("local set 0xffee abc", None, {0xFFEE: b"abc"}),
        ("local set 0xffee 0x6162", b"old", {0xFFEE: b"ab"}),
        ("local append 0xffee abc", b"old", {0xFFEE: b"old"}),
        ("local replace 0xffee abc", None, {}),
        ("local replace 0xffee abc", b"old", {0xFFEE: b"abc"}),
        ("local set 0xffee {client_ip}", None, {0xFFEE: bytes((10, 244, 1, 9))}),
        ("local set 0xffee {qtype}", None, {0xFFEE: bytes((0, 1))}),
        ("nsid set", None, {3: b""}),
        ("subnet set 24 56", None, {8: bytes((0, 1, 24, 0, 10, 244, 1))}),
    ],
)
def test_rewritten_edns_options(make_dns: MakeDns, rule: str, held: bytes | None, sent: dict[int, bytes]) -> None:
    """plugin/rewrite/edns0.go: set, append and replace; the option's bytes as they leave."""
    made = make_dns(corefile(f"rewrite edns0 {rule}", "forward . 192.0.2.1"))
    made.upstream = answering("a.example.com. 300 IN A 192.0.2.9")
    query = dns.message.make_query("a.example.com", "A", id=7)
    if held is not None:
        query.use_edns(0, options=[dns.edns.GenericOption(0xFFEE, held)])  # type: ignore[arg-type]  # any number goes
    made.put(query)
    options = dns.message.from_wire(made.asked[0].message.to_wire()).options
    assert {int(option.otype): option.to_wire() for option in options} == sent


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("rcode a.example.com NXDOMAIN NOERROR", dns.rcode.NOERROR),
        ("rcode suffix example.com 3 SERVFAIL", dns.rcode.SERVFAIL),
        ("rcode b.example.com NXDOMAIN NOERROR", dns.rcode.NXDOMAIN),
        ("rcode a.example.com REFUSED NOERROR", dns.rcode.NXDOMAIN),
    ],
)
def test_rewritten_rcodes(make_dns: MakeDns, rule: str, code: dns.rcode.Rcode) -> None:
    made = make_dns(corefile(f"rewrite {rule}", "forward . 192.0.2.1"))

    def refuse(ask: Ask) -> dns.message.Message:
        response = dns.message.make_response(ask.message)
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text("com.", 60, "IN", "SOA", "a. b. 1 2 3 4 5"))
        return response

    made.upstream = refuse
    assert made.ask("a.example.com").rcode() == code


@pytest.mark.parametrize(
    "rule",
    ["old.example.net. new.example.org.", "suffix .example.net. .example.org.", "regex (o)ld\\..* new.example.org."],
)
def test_rewritten_targets_of_aliases(make_dns: MakeDns, rule: str) -> None:
    """plugin/rewrite/cname_target.go: the new target is asked for, and its records stand for the old one's."""
    made = make_dns(corefile(f"rewrite cname {rule}", "forward . 192.0.2.1"))
    records = {
        "a.example.com.": ("a.example.com. 300 IN CNAME old.example.net.", "old.example.net. 300 IN A 192.0.2.1"),
        "new.example.org.": ("new.example.org. 300 IN A 192.0.2.9",),
        "old.example.org.": ("old.example.org. 300 IN A 192.0.2.9",),
    }
    made.upstream = lambda ask: answering(*records[ask.message.question[0].name.to_text()])(ask)
    target = "old" if "suffix" in rule else "new"
    assert texts(made.ask("a.example.com")) == [
        f"a.example.com. CNAME {target}.example.org.",
        f"{target}.example.org. A 192.0.2.9",
    ]
