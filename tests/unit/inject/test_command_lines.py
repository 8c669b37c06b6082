"""`podwire inject` and `podwire capture`: options that cannot be are refused at once; how results look."""

import json

import pytest
from typer.testing import CliRunner

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.commands.app import build
from podwire.scripts.commands.inject import lines, show, tally
from podwire.scripts.errors import UserError
from podwire.scripts.inject.fate import Answer, Fate
from podwire.scripts.inject.session import Result


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("inject --from node-1", "--to, --pcap: one of them is needed"),
        ("inject --from node-1 --to a:1 --pcap f", "--to, --pcap: only one of them can be given"),
        ("inject --from node-1 --pcap f --ttl 3", "--pcap: its packets are sent as they are"),
        ("inject --from node-1 --to a:1 -o xml", "--output xml: text or json is needed"),
        ("capture -w f --host web", "--host web: an IPv4 or IPv6 address is needed"),
        ("capture -w f --port 0", "--port 0: a number from 1 to 65535 is needed"),
        ("capture -w f --count -1", "--count -1: a number of frames from 0 is needed"),
        ("capture -w f --duration -1", "--duration -1: a number of seconds from 0 is needed"),
        ("capture -w f --duration nan", "--duration nan: a number of seconds from 0 is needed"),
        ("trace a b -o xml", "--output xml: tree, json or svg is needed"),
        ("trace a b --timeout inf", "--timeout inf: a number of seconds above 0 and up to 3600 is needed"),
    ],
)
def test_options_that_cannot_be(line: str, says: str) -> None:
    command, *arguments = line.split()
    done = CliRunner().invoke(build(command), [command, *arguments])
    assert isinstance(done.exception, UserError)
    assert says in str(done.exception)


HOP = Hop(trace="t.0", node="node-1", netns="", sequence=1, time=1, kind="drop", summary="IP a > b: x")
DROPPED = Result(
    0, "t.0", Fate("dropped", "IP a > b: [x]", "node-1 host", "no route", "IP_INNOROUTES", "is it up?", hops=(HOP,))
)
ANSWERED = Result(1, "t.1", Fate("delivered", "IP a > c: x", "node-2 d/e", "udp port 9", answers=(Answer("y", "z"),)))


def test_results_for_people() -> None:
    told = "\n".join(line for result in (DROPPED, ANSWERED) for line in lines(result))
    assert r"IP a > b: \[x]" in told and "at node-1 host: IP_INNOROUTES no route" in told and "is it up?" in told
    assert "answer y, to z" in told
    assert tally([DROPPED, ANSWERED]) == "2 packets: 1 delivered, 1 dropped; 1 answered"
    assert tally([]) == "0 packets: nothing to send; 0 answered"


def test_results_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    show([DROPPED, ANSWERED], "json")
    first, second = json.loads(capsys.readouterr().out)["packets"]
    assert (first["fate"], first["reason"], first["hops"][0]["kind"]) == ("dropped", "IP_INNOROUTES", "drop")
    assert second["answers"] == [{"summary": "y", "place": "z", "reason": ""}]
