"""The shell, line by line: what goes in, what comes out, the exit code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import serve_image, talk
from surroundings import SERVER, Machine, run_line, run_script, type_into

from podwire.services.node.programs.sh import sh
from podwire.services.node.programs.shell.arithmetic import ArithmeticFailure, evaluate
from podwire.services.node.programs.shell.parser import parse
from podwire.services.node.programs.shell.syntax import ShellSyntaxError
from podwire.services.node.programs.toolboxes import BUSYBOX
from podwire.services.node.runtime.programs import run

QUOTING = [
    ("echo a  b", "a b\n"),
    ("echo 'a  b' \"c  d\"", "a  b c  d\n"),
    (r"echo a\ \ b \$X", "a  b $X\n"),
    ("X='a  b'; echo $X \"$X\" '$X'", "a b a  b $X\n"),
    ('X=1; echo "${X}2" "\\$X" "`echo $X`"', "12 $X 1\n"),
    ("echo a#b # comment", "a#b\n"),
    ("echo one \\\n two", "one two\n"),
    ('for w in "" a; do echo "[$w]"; done', "[]\n[a]\n"),
]
EXPANSION = [
    ("echo ${X:-d} ${X-d} ${X:+s} [${X+s}]", "d d []\n"),
    ("X=; echo ${X:-d} [${X-d}] ${X:=v} $X", "d [] v v\n"),
    ("X=abc; echo ${#X} ${X:1:1} ${X:1}", "3 b bc\n"),
    ("F=/a/b.tar.gz; echo ${F##*/} ${F#*/} ${F%.*} ${F%%.*}", "b.tar.gz a/b.tar.gz /a/b.tar /a/b\n"),
    ("X=aXbXc; echo ${X/X/-} ${X//X/-}", "a-bXc a-b-c\n"),
    ('set -- a \'b c\'; echo $# $1 "$2"; for w in "$@"; do echo [$w]; done', "2 a b c\n[a]\n[b c]\n"),
    ('set --; for w in "$@"; do echo no; done; echo $#', "0\n"),
    ('IFS=:; X=a::b; for w in $X; do echo "[$w]"; done', "[a]\n[]\n[b]\n"),
    ("echo $((1 + 2 * 3)) $((7 / -2)) $((7 % 3)) $((1 < 2 && 0))", "7 -3 1 0\n"),
    ("i=5; echo $((i++)) $((++i)) $((i += 3)) $i", "5 7 10 10\n"),
    ('echo $(echo a; echo b) "$(echo a; echo b)"', "a b a\nb\n"),
    ("false; echo $?; X=$(exit 3); echo $?", "1\n3\n"),
    ("touch /tmp/b /tmp/a; cd /tmp; echo * '*' /tm?/[ab] no*", "a b * /tmp/a /tmp/b no*\n"),
    ("echo ~ ~/x", "/root /root/x\n"),
]
CONTROL = [
    ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n"),
    ("for i in 1 2 3 4; do if [ $i = 2 ]; then continue; fi; [ $i = 4 ] && break; echo $i; done", "1\n3\n"),
    ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done", "1\n2\n3\n"),
    ("i=0; until [ $i -ge 2 ]; do i=$((i+1)); done; echo $i", "2\n"),
    ("for a in 1 2; do for b in 1 2; do [ $b = 2 ] && continue 2; echo $a$b; done; done", "11\n21\n"),
    ("case a.txt in *.md) echo md;; *.txt|*.log) echo text;; esac", "text\n"),
    ("case '*' in '*') echo star;; esac; case x in (y) echo y;; *) echo other; esac", "star\nother\n"),
    ("f() { local X=2; echo $1 $X; return 3; }; X=1; f a; echo $? $X", "a 2\n3 1\n"),
    ("true && echo a || echo b; false && echo a || echo b; ! false && echo c", "a\nb\nc\n"),
    ("{ echo a; echo b; } | cat; (X=1; cd /etc); echo [$X] $PWD", "a\nb\n[] /\n"),
    ("set -e; false || echo kept; if false; then :; fi; false; echo lost", "kept\n"),
    ("trap 'echo bye' EXIT; echo hi", "hi\nbye\n"),
    ("eval 'X=1; echo $X'; command -v echo; type nosuch", "1\necho\nnosuch: not found\n"),
]
STREAMS = [
    ("echo hello | tr a-z A-Z | cat", "HELLO\n"),
    ("echo a > /tmp/f; echo b >> /tmp/f; cat < /tmp/f; wc -l < /tmp/f", "a\nb\n2\n"),
    ("nosuch 2> /tmp/e; cat /tmp/e", "sh: nosuch: not found\n"),
    ("{ echo out; echo err >&2; } 2>&1 | sort", "err\nout\n"),
    ("{ echo out; echo err >&2; } > /dev/null 2>&1; echo done", "done\n"),
    ("{ echo out; echo err >&2; } &> /tmp/x; cat /tmp/x", "out\nerr\n"),
    ("cat <<E\n$((1+1)) $HOME\nE\necho after", "2 /root\nafter\n"),
    ("cat <<'E'\n$HOME\nE", "$HOME\n"),
    ("cat <<-E\n\ta\n\tE\n", "a\n"),
    ("cat <<A; cat <<B\na\nA\nb\nB\n", "a\nb\n"),
    ("printf 'a b\\nc\\n' | while read x y; do echo \"$y|$x\"; done", "b|a\n|c\n"),
    ("yes | head -n 2; echo $?", "y\ny\n0\n"),
    ("sleep 5 & sleep 1; echo first; wait $!; echo $?", "first\n0\n"),
    ("sleep 100 & kill $!; wait $!; echo $?", "143\n"),
]
FAILURES = [
    ("nosuch", 127, "sh: nosuch: not found\n"),
    ("/bin/nosuch", 127, "sh: /bin/nosuch: not found\n"),
    ("cd /nope", 2, "sh: cd: line 0: can't cd to /nope: No such file or directory\n"),
    ("cat < /nope", 1, "sh: can't open /nope: no such file\n"),
    ("echo > /no/where", 1, "sh: can't create /no/where: nonexistent directory\n"),
    ("exit 300", 44, ""),
    ("set -u; echo $X", 2, "sh: X: parameter not set\n"),
    ("echo ${X:?is missing}", 2, "sh: X: is missing\n"),
    ("echo $((1/0))", 2, "sh: divide by zero\n"),
    ("echo $((1 +))", 2, "sh: arithmetic syntax error\n"),
    ("shift x", 2, "sh: shift: line 0: Illegal number: x\n"),
    ("if true", 2, 'sh: syntax error: unexpected end of file (expecting "then")\n'),
    ("echo )", 2, 'sh: syntax error: unexpected ")"\n'),
    ("echo 'a", 2, "sh: syntax error: unterminated quoted string\n"),
    (";", 2, 'sh: syntax error: unexpected ";"\n'),
    ("f() { f; }; f", 2, "sh: f: too many nested calls\n"),
]


@pytest.mark.parametrize(("script", "output"), QUOTING + EXPANSION + CONTROL + STREAMS)
def test_output(script: str, output: str) -> None:
    assert run_script(script).out == output


@pytest.mark.parametrize(("script", "code", "complaint"), FAILURES)
def test_failures(script: str, code: int, complaint: str) -> None:
    result = run_script(script)
    assert (result.code, result.err) == (code, complaint)


def test_scripts_come_from_standard_input_and_files_too() -> None:
    assert run_line(["sh"], b"echo $0 $#\n").out == "sh 0\n"
    assert run_line(["sh", "/s", "x"], files={"/s": b"echo $0 $1\n"}).out == "/s x\n"
    assert run_script("/s x", files={"/s": b"#!/bin/sh\necho $0 $1\n"}).out == "/s x\n"
    assert run_line(["sh", "-c", "echo $0 $1", "name", "a"]).out == "name a\n"


def test_an_endless_loop_neither_starves_others_nor_stops_time() -> None:
    with pytest.raises(TimeoutError):
        Machine().play(lambda machine: machine.run(["sh", "-c", "while true; do :; done"], limit=1))


def test_a_terminal_prompts_echoes_and_edits() -> None:
    async def scene(machine: Machine) -> str:
        out = bytearray()

        code = await type_into(
            machine, ["sh"], [b"echo hix\x7f\r", b"for i in 1\r", b"do echo $i; done\r", b"exit 4\r"], out
        )
        return f"{code}:{out.decode()}"

    screen = Machine().play(scene)
    assert screen.startswith("4:/ # ")
    assert "\r\nhi\r\n" in screen
    assert screen.endswith("/ # for i in 1\r\n> do echo $i; done\r\n1\r\n/ # exit 4\r\n")


@given(st.text(alphabet="abX=$(){}[]'\"`\\;&|<>!#*? \n\t0123456789-+/:if then fi do done case esac", max_size=60))
def test_any_text_parses_or_is_refused_by_one_error(text: str) -> None:
    try:
        parse(text)
    except ShellSyntaxError:
        return


@pytest.mark.parametrize("opening", ["(", "$(", "{ ", "if ", "${x:-", "$((", '"$(', "while ", "f() ", "case a in a) "])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(ShellSyntaxError):
        parse("echo " * (opening[0] in '$`"') + opening * 5000)


@given(st.text(alphabet="0123456789xabi+-*/%()<>=!&|^~?:, ", max_size=40))
def test_any_expression_has_a_value_or_is_refused_by_one_error(text: str) -> None:
    try:
        value = evaluate(text, {"a": "1", "b": "a", "i": "i"})
    except ArithmeticFailure:
        return
    assert -(2**63) <= value < 2**63


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (f"echo >/dev/tcp/{SERVER}/80 && echo open", "open\n"),
        (f"timeout 1 bash -c '</dev/tcp/{SERVER}/80'; echo $?", "0\n"),
        (f"exec 3<>/dev/tcp/{SERVER}/80; printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' >&3; tail -1 <&3", "server"),
        (
            f"echo >/dev/tcp/{SERVER}/81; echo $?",
            f"bash: connect: Connection refused\nbash: /dev/tcp/{SERVER}/81: Connection refused\n1\n",
        ),
        ("echo >/dev/tcp/10.244.1.9/80 || echo shut", None),
        (f"echo >/dev/tcp/{SERVER}/http", "bash: http: invalid service\n"),
        (f"echo -n hostname >/dev/udp/{SERVER}/8081; echo $?", "0\n"),
    ],
)
def test_bash_connects(command: str, output: str | None) -> None:
    async def server(machine: Machine) -> None:
        await serve_image(machine, "agnhost", "netexec", "--http-port=80")

    result = talk(["bash", "-c", f"{{ {command}; }} 2>&1"], server)
    assert result.out.startswith(output) if output is not None else result.out.endswith("shut\n")


def test_only_bash_connects() -> None:
    assert "nonexistent directory" in run_script(f"echo >/dev/tcp/{SERVER}/80").err


LEAVE = b"exit\r"
HEADING = "PID   USER     TIME  COMMAND\n"


@pytest.mark.parametrize(
    ("arguments", "typed", "screen"),
    [
        (["sh"], [b"stty size; tty; echo $COLUMNS\r", LEAVE], "\r\n33 101\r\n/dev/pts/0\r\n\r\n/ # exit"),
        (["bash"], [b"echo $COLUMNS $LINES\r", LEAVE], "\r\n101 33\r\n"),
        (["sh"], [b"sleep 100; echo never\r", b"\x03", b"echo $?\r", LEAVE], "^C\r\n/ # echo $?\r\n130\r\n"),
        (["sh"], [b"while :; do :; done\r", b"\x03", b"echo $?\r", LEAVE], "^C\r\n/ # echo $?\r\n130\r\n"),
        (["sh"], [b"trap 'echo INT' INT\r", b"sleep 9; echo next\r", b"\x03", LEAVE], "^CINT\r\nnext\r\n/ # "),
        (["sh"], [b"echo half", b"\x03", b"echo whole\r", LEAVE], "half^C\r\n/ # echo whole\r\nwhole\r\n"),
        (["sh"], [b"ping 127.0.0.1\r", b"\x03", LEAVE], "^C\r\n--- 127.0.0.1 ping statistics ---\r\n"),
        (["sh"], [b"echo a\r", b"echo b\r", b"\x1b[A\x1b[A\r", LEAVE], "\r\nb\r\n/ # echo b\b \b"),
        (["sh"], [b"echo a\r", b"echo b\r", b"\x1b[A\x1b[A\r", LEAVE], "echo a\r\na\r\n/ # exit"),
        (["sh"], [b"echo a\x1b[D\x1b[1;5C\x1bOBb\r", LEAVE], "\r\nab\r\n"),
        (["sh"], [b"read -s x\r", b"secret\r", b"echo $x\r", LEAVE], "read -s x\r\n/ # echo $x\r\nsecret\r\n"),
        (["sh", "-c", "trap 'echo INT' INT; sleep 9; echo after"], [b"\x03"], "^CINT\r\nafter\r\n"),
        (["sh", "-c", "trap 'stty size' WINCH; stty rows 9 cols 7; echo end"], [], "9 7\r\nend\r\n"),
    ],
)
def test_a_terminal(arguments: list[str], typed: list[bytes], screen: str) -> None:
    async def scene(machine: Machine) -> str:
        out = bytearray()
        await type_into(machine, arguments, typed, out)
        return out.decode()

    assert screen in Machine().play(scene)


def test_an_interrupt_ends_a_script_that_has_no_trap() -> None:
    async def scene(machine: Machine) -> int:
        return await type_into(machine, ["sh", "-c", "sleep 9; echo never"], [b"\x03"], bytearray())

    assert Machine().play(scene) == 130


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("ps", f"{HEADING}    1 root      0:00 sh -c ps; true\n    2 root      0:00 ps\n"),
        ("ps aux", f"{HEADING}    1 root      0:00 sh -c ps aux; true\n    2 root      0:00 ps aux\n"),
        ("ps -o pid,ppid,comm", "PID   PPID  COMMAND\n    1     0 sh\n    2     1 ps\n"),
        ("sleep 9 & sleep 0.1; pidof sleep; pgrep -l slee; killall sleep; wait $!; echo $?", "2\n2 sleep\n143\n"),
        ("pkill -f 'no suc[h]' ; echo $?", "1\n"),
        ("echo $$; sh -c 'echo $$ $PPID; true'; (echo $$)", "1\n2 1\n1\n"),
    ],
)
def test_processes_are_seen(command: str, output: str) -> None:
    async def scene(machine: Machine) -> str:
        out = bytearray()
        process = machine.process(["sh", "-c", f"{command}; true"], machine.nobody, out, out)
        process.programs = dict(BUSYBOX)
        await run(process, sh)
        return out.decode()

    assert Machine().play(scene) == output


def test_procps_prints_its_own_forms() -> None:
    lines = run_script("sleep 9 & sleep 0.1; ps -ef; ps aux; ps -A; true").out.splitlines()
    assert lines[0] == "UID          PID    PPID  C STIME TTY          TIME CMD"
    assert lines[2].split()[:3] == ["root", "2", "1"] and lines[2].endswith(" 00:00:00 sleep 9")
    assert lines[4] == "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND"
    assert lines[8] == "    PID TTY          TIME CMD"


def test_watch_runs_its_command_again_and_again() -> None:
    screen = run_script("timeout 5 watch -n 2 echo hi").out
    assert screen.count("Every 2.0s: echo hi") == screen.count("\n\nhi\n") == 3
