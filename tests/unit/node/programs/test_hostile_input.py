"""Any command line, URL, configuration or sed script is understood or refused by the one error of its reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surroundings import run_line

from podwire.services.node.network.resolv_conf import candidates, read_configuration, read_hosts
from podwire.services.node.programs import curl_options, nslookup
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.awk.parser import parse
from podwire.services.node.programs.awk.syntax import AwkSyntaxError
from podwire.services.node.programs.http_client import BadUrl, parse_url
from podwire.services.node.programs.ip import arguments as ip_arguments
from podwire.services.node.programs.iptables import read_listing

WORDS = st.lists(st.text(alphabet="-abcLnStvwxXdHmo=:/.19 @é", max_size=8), max_size=6)


@given(st.text(max_size=200))
def test_configuration_files_never_fail(text: str) -> None:
    configuration = read_configuration(text)
    assert 1 <= len(configuration.servers) <= 3 and configuration.timeout >= 1 and configuration.attempts >= 1
    assert "x" in candidates("x", configuration)
    read_hosts(text)


def test_names_with_few_dots_go_through_the_search_list_first() -> None:
    configuration = read_configuration("nameserver 10.96.0.10\nsearch a.b c\noptions ndots:2 timeout:99 attempts:9\n")
    assert candidates("x", configuration) == ["x.a.b", "x.c", "x"]
    assert candidates("x.y.z", configuration) == ["x.y.z", "x.y.z.a.b", "x.y.z.c"]
    assert candidates("x.", configuration) == ["x."]
    assert (configuration.timeout, configuration.attempts) == (30, 5)


@given(st.text(alphabet="http:/@.[]%#?ab19 é\\\n", max_size=40))
def test_urls(text: str) -> None:
    try:
        url = parse_url(text)
    except BadUrl:
        return
    assert url.host and 0 < url.port < 65536 and url.target.startswith("/")


@given(WORDS)
def test_command_lines(words: list[str]) -> None:
    for read, refusal in (
        (curl_options.read_call, curl_options.BadOption),
        (ip_arguments.read_call, ip_arguments.IpError),
        (nslookup.read_call, nslookup.BadCall),
        (read_listing, UsageError),
        (lambda each: parse_options(each, "ab:c", {"long": "x:"}), UsageError),
    ):
        try:
            read(words)  # type: ignore[operator]  # all take a list of words
        except refusal:
            continue


@given(st.text(alphabet="s/dpq=0123$,!\\abgI;&{}", max_size=20))
def test_sed_scripts(script: str) -> None:
    result = run_line(["sed", "--", script], b"ab\nba\n")
    assert result.code in (0, 1) and "aborted" not in result.err


@given(st.lists(st.text(alphabet="%sdxc5.*\\nab0-", max_size=12), min_size=1, max_size=3))
def test_printf_formats(words: list[str]) -> None:
    assert "aborted" not in run_line(["printf", *words]).err


@given(st.lists(st.sampled_from(["-a", "-o", "!", "(", ")", "=", "-eq", "-n", "1", "x", ""]), max_size=8))
def test_conditions(words: list[str]) -> None:
    result = run_line(["test", *words])
    assert result.code in (0, 1, 2) and "aborted" not in result.err


@given(st.sampled_from(["grep", "cut", "tr", "sort", "head", "tail", "seq", "nc", "ping", "wget", "xargs"]), WORDS)
def test_tools_never_abort(tool: str, words: list[str]) -> None:
    if tool == "nc" and any("l" in word for word in words):
        return
    result = run_line([tool, *words, "-W1", "-c1"] if tool == "ping" else [tool, *words], b"a b\n1\n")
    assert "aborted" not in result.err


@pytest.mark.parametrize(
    "command",
    [
        ["grep", "-E", "(a*)*b"],
        ["grep", "-E", "(a|a)*b"],
        ["grep", "-E", "(a|aa)+$b"],
        ["grep", "a*a*a*a*a*a*a*b"],
        ["sed", "-E", "s/(a+)+b/x/"],
        ["awk", "/(a*)*b/"],
        ["awk", "-F(a|a)*b", "{print NF}"],
    ],
)
@pytest.mark.timeout(10)
def test_no_expression_takes_more_than_linear_time(command: list[str]) -> None:
    assert run_line(command, b"a" * 200_000 + b"\n").err == ""


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["grep", r"\(a*\)*\1b"], "back-references beside repeated groups or many repeats are not built"),
        (["grep", r"\(a*\)\1b"], "back-references on long lines are not built"),
        (["sed", r"s/\(a*\)\1b/x/"], "back-references on long lines are not built"),
        (["grep", "-E", "a{1001}"], "bad regex"),
        (["grep", "a" * 5000], "Regular expression too big"),
    ],
)
def test_expressions_that_could_are_refused(command: list[str], complaint: str) -> None:
    result = run_line(command, b"a" * 10_000 + b"\n")
    assert result.code in (1, 2) and complaint in result.err


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ('BEGIN{while(1)a=a "xxxxxxxx" a}', "string too long"),
        ("BEGIN{while(1)a[i++]}", "too many array elements"),
        ("BEGIN{$-1=1}", "negative field"),
        ("BEGIN{$9999999=1}", "too many fields"),
        ("BEGIN{print " + "(" * 500, "too deeply nested"),
        ("BEGIN{print 1/0}", "Division by zero"),
        ("function f(){}", "function is not built"),
        ('BEGIN{"date"|getline x}', "getline is not built"),
        ('BEGIN{print "a"|"sort"}', "print | COMMAND is not built"),
        ("BEGIN{print nosuch(1)}", "undefined function"),
        ("{", "Unexpected token"),
        ("/a", "Unexpected end of regex"),
        ("BEGIN{x[1]=1; print x}", "x is an array"),
        ("/(/", "bad regex"),
        ('BEGIN{RS="ab"}{print}', "RS of more than one character is not built"),
    ],
)
def test_awk_refuses_in_one_line(program: str, complaint: str) -> None:
    result = run_line(["awk", program], b"a\n")
    assert result.code in (1, 2)
    assert complaint in result.err and result.err.count("\n") == 1


@given(st.text(alphabet='abx$(){}[]/"+-*%^!<>=~,;?: \n\t0123456789NRFBEGIN', max_size=60))
def test_awk_runs_or_refuses_any_text(program: str) -> None:
    try:
        parse(program)
    except AwkSyntaxError:
        return
