"""Probes of a pod's servers from the machine, over HTTP and HTTPS: what the kubelet is told."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Literal

import pytest
from surroundings import SERVER, Machine, PlainClock

from podwire.proto.messages.runtime import ProbePod, ProbeResult
from podwire.services.node.images.agnhost.command import agnhost
from podwire.services.node.network.sockets import Network, TcpStream
from podwire.services.node.programs.toolboxes import HOST
from podwire.services.node.runtime.probes import probe

TLS = ("--http-port=443", "--tls-cert-file=/localhost.crt", "--tls-private-key-file=/localhost.key")


def with_servers(work: Any, *, simulated: bool = False) -> Any:
    """Runs work beside three servers: netexec by HTTP on 80 and by HTTPS on 443, and on 81 one that says nothing."""

    async def scene(machine: Machine) -> Any:
        loop = asyncio.get_running_loop()
        clock = machine.clock if simulated else PlainClock(machine.clock)
        silent: list[TcpStream] = []
        Network(machine.shell, "server").listen(81, silent.append)
        tasks = []
        for words in (("--http-port=80", "--udp-port=-1"), (*TLS, "--udp-port=-1")):
            process = machine.process(
                ["agnhost", "netexec", *words], machine.nobody, bytearray(), bytearray(), "server"
            )
            tasks.append(loop.create_task(agnhost(replace(process, clock=clock))))
        await asyncio.sleep(0.001)
        try:
            return await work(machine, clock)
        finally:
            for task in tasks:
                task.cancel()

    return Machine().play(scene)


def probed(
    kind: Literal["http", "https", "tcp", "grpc"], port: int, path: str = "/hostname", *, simulated: bool = False
) -> ProbeResult:
    """What one probe says."""

    def work(machine: Machine, clock: Any) -> Awaitable[ProbeResult]:
        return probe(Network(machine.shell, ""), ProbePod(kind=kind, address=SERVER, port=port, path=path), clock)

    result: ProbeResult = with_servers(work, simulated=simulated)
    return result


TO_HTTPS = f"/redirect?location=https://{SERVER}/hostname"
TO_HTTP = f"/redirect?location=http://{SERVER}/hostname"


@pytest.mark.parametrize(
    ("kind", "port", "path", "success", "output"),
    [
        ("http", 80, "/hostname", True, "server"),
        ("https", 443, "/hostname", True, "server"),
        ("https", 443, "/echo?code=500", False, "HTTP probe failed with statuscode: 500"),
        ("http", 80, TO_HTTPS, True, "server"),
        ("https", 443, TO_HTTP, True, "server"),
        ("http", 443, "/hostname", False, "HTTP probe failed with statuscode: 400"),
        (
            *("https", 80, "/hostname", False),
            f'Get "https://{SERVER}:80/hostname": http: server gave HTTP response to HTTPS client',
        ),
        (
            *("https", 82, "/hostname", False),
            f'Get "https://{SERVER}:82/hostname": dial tcp {SERVER}:82: connect: connection refused',
        ),
        (
            *("https", 81, "/hostname", False),
            f'Get "https://{SERVER}:81/hostname": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers)",
        ),
    ],
)
def test_a_probe(kind: Literal["http", "https"], port: int, path: str, success: bool, output: str) -> None:
    assert probed(kind, port, path) == ProbeResult(success=success, output=output)


def test_a_simulation_says_that_it_has_no_tls() -> None:
    result = probed("https", 80, simulated=True)
    assert not result.success and "TLS is not built for simulations" in result.output


def test_a_container_trusts_its_own_certificate() -> None:
    async def work(machine: Machine, clock: Any) -> tuple[int, str]:
        output = bytearray()
        words = ["curl", "-s", "--cacert", "/localhost.crt", "https://127.0.0.1/hostname"]
        process = machine.process(words, machine.nobody, output, output, "server")
        code = await HOST["curl"](replace(process, clock=clock))
        return code, output.decode()

    assert with_servers(work) == (0, "server")
