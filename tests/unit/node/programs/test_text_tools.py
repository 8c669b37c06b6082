"""Text tools: command line and standard input to standard output, complaints and exit code."""

import pytest
from surroundings import Machine, run_line

from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.expressions import BadExpression, to_python
from podwire.services.node.programs.toolboxes import HOST

LINES = b"one\ntwo\nthree\nfour\n"
PASSES = [
    (["cat"], LINES, LINES.decode()),
    (["cat", "-n"], b"a\nb", "     1\ta\n     2\tb"),
    (["grep", "t"], LINES, "two\nthree\n"),
    (["grep", "-v", "t"], LINES, "one\nfour\n"),
    (["grep", "-c", "o"], LINES, "3\n"),
    (["grep", "-n", "-i", "THREE"], LINES, "3:three\n"),
    (["grep", "-E", "^(one|four)$"], LINES, "one\nfour\n"),
    (["grep", r"^\(one\|four\)$"], LINES, "one\nfour\n"),
    (["grep", "-o", "[a-z]o"], LINES, "wo\nfo\n"),
    (["grep", "-F", "a.b"], b"axb\na.b\n", "a.b\n"),
    (["grep", "-w", "one"], b"ones\none two\n", "one two\n"),
    (["grep", "-x", "one"], b"one two\none\n", "one\n"),
    (["grep", "-e", "one", "-e", "two"], LINES, "one\ntwo\n"),
    (["grep", "-A", "1", "two"], LINES, "two\nthree\n"),
    (["grep", "-B1", "two"], LINES, "one\ntwo\n"),
    (["grep", "-C", "1", "-n", "two"], LINES, "1-one\n2:two\n3-three\n"),
    (["grep", "-A1", "a"], b"a\n1\n2\na\n3\n", "a\n1\n--\na\n3\n"),
    (["grep", "-m", "1", "o"], LINES, "one\n"),
    (["grep", "[[:digit:]]\\+"], b"a\n12\n", "12\n"),
    (["head", "-n", "2"], LINES, "one\ntwo\n"),
    (["head", "-1"], LINES, "one\n"),
    (["head", "-n", "-3"], LINES, "one\n"),
    (["head", "-c", "5"], LINES, "one\nt"),
    (["tail", "-n", "1"], LINES, "four\n"),
    (["tail", "-n", "+3"], LINES, "three\nfour\n"),
    (["tail", "-c", "3"], LINES, "ur\n"),
    (["wc"], LINES, "        4         4        19\n"),
    (["wc", "-l"], LINES, "4\n"),
    (["wc", "-w"], b"a b  c\n", "3\n"),
    (["sort"], LINES, "four\none\nthree\ntwo\n"),
    (["sort", "-r"], LINES, "two\nthree\none\nfour\n"),
    (["sort", "-n"], b"10\n9\n-1\n", "-1\n9\n10\n"),
    (["sort", "-u"], b"b\na\nb\n", "a\nb\n"),
    (["sort", "-t:", "-k2,2n"], b"a:10\nb:9\n", "b:9\na:10\n"),
    (["sort", "-rn", "-k2"], b"a 1\nb 2\n", "b 2\na 1\n"),
    (["uniq", "-c"], b"a\na\nb\n", "      2 a\n      1 b\n"),
    (["uniq", "-d"], b"a\na\nb\n", "a\n"),
    (["cut", "-d:", "-f1,3"], b"a:b:c\nnone\n", "a:c\nnone\n"),
    (["cut", "-c2-3"], b"abcd\n", "bc\n"),
    (["cut", "-f2", "-d ", "-s"], b"a b\nc\n", "b\n"),
    (["tr", "a-z", "A-Z"], b"abc\n", "ABC\n"),
    (["tr", "-d", "\\n"], b"a\nb\n", "ab"),
    (["tr", "-s", " "], b"a   b\n", "a b\n"),
    (["tr", "-cd", "[:alnum:]"], b"a-1!\n", "a1"),
    (["tr", ":", "\\n"], b"a:b\n", "a\nb\n"),
    (["sed", "s/o/0/"], b"foo\n", "f0o\n"),
    (["sed", "s/O/0/gI"], b"foo\n", "f00\n"),
    (["sed", "s|a\\(.\\)|<\\1&>|"], b"xab\n", "x<bab>\n"),
    (["sed", "-E", "s/(a+)/[\\1]/"], b"baac\n", "b[aa]c\n"),
    (["sed", "-n", "2p"], LINES, "two\n"),
    (["sed", "-n", "/two/,$p"], LINES, "two\nthree\nfour\n"),
    (["sed", "1,2d"], LINES, "three\nfour\n"),
    (["sed", "$!d"], LINES, "four\n"),
    (["sed", "2q"], LINES, "one\ntwo\n"),
    (["sed", "-e", "s/one/1/;/two/d"], LINES, "1\nthree\nfour\n"),
    (["seq", "3"], b"", "1\n2\n3\n"),
    (["seq", "1", "2", "5"], b"", "1\n3\n5\n"),
    (["seq", "-s", ",", "3"], b"", "1,2,3\n"),
    (["echo", "-n", "a"], b"", "a"),
    (["echo", "-e", "a\\tb\\cd"], b"", "a\tb"),
    (["printf", "%s-%d\\n", "a", "1", "b"], b"", "a-1\nb-0\n"),
    (["printf", "%5.2f|%-4s|%04x|%%|%c\\n", "3.14159", "ab", "255", "xyz"], b"", " 3.14|ab  |00ff|%|x\n"),
    (["rev"], b"abc\n", "cba\n"),
    (["xargs", "-n", "2", "echo", "x"], b"a b c\n", "x a b\nx c\n"),
    (["xargs", "-I", "{}", "echo", "<{}>"], b"a b\nc\n", "<a b>\n<c>\n"),
    (["tee", "/tmp/f"], b"x\n", "x\n"),
    (["env", "-i", "A=1", "env"], b"", "A=1\n"),
    (["hostname"], b"", "client\n"),
    (["hostname", "-i"], b"", "10.244.1.2\n"),
    (["id"], b"", "uid=0(root) gid=0(root) groups=0(root)\n"),
    (["date", "+%F %T"], b"", "2023-11-14 22:13:20\n"),
    (["date"], b"", "Tue Nov 14 22:13:20 UTC 2023\n"),
    (["sudo", "-n", "echo", "-n", "a"], b"", "a"),
    (["cat", "/proc/sys/net/ipv4/ip_forward", "/sys/class/net/eth0/mtu"], b"", "0\n1450\n"),
    (["ls", "-A", "/tmp"], b"", ".keep\n"),
    (["ls", "/"], b"", "etc\ntmp\n"),
]
FAILS = [
    (["cat", "/nope"], 1, "cat: can't open '/nope': No such file or directory\n"),
    (["ls", "/nope"], 1, "ls: /nope: No such file or directory\n"),
    (["grep", "x", "/nope"], 2, "grep: /nope: No such file or directory\n"),
    (["grep", "zzz"], 1, ""),
    (["head", "/nope"], 1, "head: /nope: No such file or directory\n"),
    (["sed", "s/a"], 1, "sed: unmatched '/'\n"),
    (["sed", "w file"], 1, "sed: unsupported command w\n"),
    (["sleep", "x"], 1, "sleep: invalid number 'x'\n"),
    (["seq", "x"], 1, "seq: invalid number 'x'\n"),
    (["env", "nosuch"], 127, "env: can't execute 'nosuch': No such file or directory\n"),
    (["sudo", "nosuch"], 1, "sudo: nosuch: command not found\n"),
    (["timeout", "1", "sleep", "5"], 143, "Terminated\n"),
    (["[", "1", "=", "1"], 2, "[: missing ]\n"),
    (["test", "a", "-eq", "1"], 2, "test: a: bad number\n"),
    (["rm", "/nope"], 1, "rm: can't remove '/nope': No such file or directory\n"),
    (["mkdir", "/a/b"], 1, "mkdir: can't create directory '/a/b': No such file or directory\n"),
]
CONDITIONS = [
    ("-f /etc/hostname", True),
    ("-d /etc", True),
    ("-e /nope", False),
    ("-s /tmp/.keep", False),
    ("-n a", True),
    ("-z a", False),
    ("a = a", True),
    ("a != a", False),
    ("2 -lt 10", True),
    ("! a", False),
    ("a = b -o 1 -eq 1", True),
    ("a = a -a 1 -eq 2", False),
    ("( a = a )", True),
    ("", False),
]


@pytest.mark.parametrize(("arguments", "stdin", "output"), PASSES)
def test_output(arguments: list[str], stdin: bytes, output: str) -> None:
    result = run_line(arguments, stdin)
    assert (result.out, result.err, result.code) == (output, "", 0)


@pytest.mark.parametrize(("arguments", "code", "complaint"), FAILS)
def test_failures(arguments: list[str], code: int, complaint: str) -> None:
    result = run_line(arguments, b"x\n")
    assert (result.code, result.err) == (code, complaint)


@pytest.mark.parametrize(("words", "value"), CONDITIONS)
def test_conditions(words: str, value: bool) -> None:
    assert run_line(["test", *words.split()]).code == int(not value)


@pytest.mark.parametrize("name", ["grep", "head", "tail", "sort", "cut", "tr", "wc", "ls", "cat", "wget", "nc", "ping"])
def test_an_unknown_option_is_refused_with_the_usage(name: str) -> None:
    result = run_line([name, "-?"])
    assert result.code in (1, 2)
    assert result.err.startswith(f"{name}: invalid option -- '?'\n")
    assert f"Usage: {name} " in result.err


@pytest.mark.parametrize(
    ("posix", "extended", "python"),
    [
        (r"a\{2\}", False, "a{2}"),
        ("a{2}", False, r"a\{2\}"),
        ("a+", False, r"a\+"),
        ("a+", True, "a+"),
        ("*a", False, r"\*a"),
        ("a^b$c", False, r"a\^b\$c"),
        ("[]a]", False, r"[\]a]"),
        (r"\<a\>", False, r"\ba\b"),
    ],
)
def test_posix_expressions_in_pythons_words(posix: str, extended: bool, python: str) -> None:
    assert to_python(posix, extended=extended) == python


def test_expressions_that_are_none() -> None:
    for text in ("[a", "a\\", "[[:nope:]]"):
        with pytest.raises(BadExpression):
            to_python(text, extended=True)


def test_dates_follow_strftime() -> None:
    assert format_date("%a %d %b %Y %H:%M:%S.%N %j %s %% %Q", 1_700_000_000_123_456_789) == (
        "Tue 14 Nov 2023 22:13:20.123456789 318 1700000000 % %Q"
    )


@pytest.mark.parametrize(
    ("words", "user", "code", "output"),
    [
        (["id"], 0, 0, "uid=0(root) gid=0(root) groups=0(root)\n"),
        (["id"], 1000, 0, "uid=1000 gid=3000 groups=3000\n"),
        (["id", "-u"], 1000, 0, "1000\n"),
        (["id", "-g"], 1000, 0, "3000\n"),
        (["id", "-un"], 0, 0, "root\n"),
        (["id", "-un"], 1000, 1, ""),
        (["whoami"], 0, 0, "root\n"),
        (["whoami"], 1000, 1, ""),
    ],
)
def test_who_a_container_runs_as(words: list[str], user: int, code: int, output: str) -> None:
    async def scene(machine: Machine) -> tuple[int, str]:
        out = bytearray()
        process = machine.process(words, machine.nobody, out, bytearray())
        process.user, process.group = user, 3000 if user else 0
        return await HOST[words[0]](process), out.decode()

    assert Machine().play(scene) == (code, output)
