"""crictl, ethtool and iptables -E and -Z on a machine."""

from types import SimpleNamespace

import pytest
from surroundings import Machine, Result, run_on_machine

from podwire.proto.messages.runtime import ContainerConfig, SandboxConfig
from podwire.services.node.programs.toolboxes import HOST


def crictl(*words: str) -> Result:
    """On a machine with one pod of two containers, the second of which has ended."""

    async def scene(machine: Machine) -> Result:
        out, err = bytearray(), bytearray()
        process = machine.process(["crictl", *words], machine.nobody, out, err, "")
        now = process.clock.now_ns()
        box = SandboxConfig(uid="u", namespace="default", name="web-5d4f7c7b9-abcde")
        sandbox = SimpleNamespace(id="b" * 64, config=box, created_at=now - 90 * 10**9, state="READY")
        containers = {
            name: SimpleNamespace(
                id=letter * 64,
                sandbox=sandbox,
                config=ContainerConfig(name=name, image="nginx:1.27", attempt=2),
                created_at=now - age * 10**9,
                state=state,
            )
            for name, letter, age, state in (("web", "a", 5, "RUNNING"), ("init", "c", 7300, "EXITED"))
        }
        runtime = SimpleNamespace(
            containers=SimpleNamespace(records=containers), sandboxes=SimpleNamespace(records={"b": sandbox})
        )
        process.machine = SimpleNamespace(runtime=runtime)  # type: ignore[assignment]  # all that crictl looks at
        code = await HOST["crictl"](process)
        return Result(code, out.decode(), err.decode())

    result: Result = Machine().play(scene)
    return result


def columns(text: str) -> list[list[str]]:
    return [[cell for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_ps_shows_what_runs_and_with_a_everything() -> None:
    running = [each.strip() for each in columns(crictl("ps").out)[1]]
    assert running[:6] == ["a" * 13, "nginx:1.27", "5 seconds ago", "Running", "web", "2"]
    assert running[6:] == ["b" * 13, "web-5d4f7c7b9-abcde", "default"]
    assert [row[3].strip() for row in columns(crictl("ps", "-a").out)] == ["STATE", "Running", "Exited"]
    assert "2 hours ago" in crictl("ps", "-a", "--name", "init").out


def test_columns_are_as_wide_as_tabwriter_makes_them() -> None:
    heading, row = crictl("ps").out.splitlines()
    assert heading.startswith("CONTAINER           IMAGE               CREATED             STATE               NAME")
    assert heading.index("NAMESPACE") == row.index("default")


def test_pods() -> None:
    row = [each.strip() for each in columns(crictl("pods").out)[1]]
    assert row == ["b" * 13, "About a minute ago", "Ready", "web-5d4f7c7b9-abcde", "default", "0", "(default)"]
    assert crictl("pods", "-q").out == "b" * 64 + "\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [(["images"], "crictl images: not built"), (["foo"], 'No help topic for "foo"'), (["ps", "-x"], "invalid option")],
)
def test_what_crictl_refuses(words: list[str], says: str) -> None:
    result = crictl(*words)
    assert result.code == 1 and says in result.err


@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        ("ethtool -S veth-client", 0, "NIC statistics:\n     peer_ifindex: 2\n"),
        ("ethtool veth-client", 0, "Settings for veth-client:\n\tLink detected: yes\n"),
        ("ethtool -i cni0", 0, "driver: bridge\nversion: 1.0\n"),
        ("ethtool -S cni0", 94, "no stats available\n"),
        ("ethtool -i lo", 71, "Cannot get driver information: Operation not supported\n"),
        ("ethtool -S nosuch", 71, "Cannot get stats strings information: No such device\n"),
        ("ethtool -k cni0", 1, "ethtool: -k: not built"),
    ],
)
def test_ethtool(script: str, code: int, output: str) -> None:
    result = run_on_machine(script)
    assert result.code == code
    assert output in result.out + result.err


@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        (
            "iptables -N A; iptables -A INPUT -j A; iptables -A A -p tcp -j ACCEPT; iptables -E A NEW; iptables -S",
            0,
            "-N NEW\n-A INPUT -j NEW\n-A NEW -p tcp -j ACCEPT\n",
        ),
        ("iptables -N A; iptables -N B; iptables -E A B", 1, "iptables: File exists.\n"),
        ("iptables -E nope Z", 1, "iptables: No chain/target/match by that name.\n"),
        ("iptables -E A", 2, "-E requires old-chain-name and new-chain-name\n"),
        ("iptables -E INPUT X", 2, "renaming of built-in chains is not built\n"),
        ("iptables -Z INPUT 9; iptables -Z nope", 1, "iptables: No chain/target/match by that name.\n"),
        (
            "iptables -A OUTPUT -p 1; iptables -A OUTPUT -p icmp; ping -c1 10.244.1.3 >/dev/null; iptables -Z OUTPUT 1;"
            "iptables-save -c -t filter | grep OUTPUT",
            0,
            "[0:0] -A OUTPUT -p icmp\n[1:84] -A OUTPUT -p icmp\n",
        ),
    ],
)
def test_iptables(script: str, code: int, output: str) -> None:
    result = run_on_machine(script)
    assert result.code == code
    assert output in result.out + result.err
