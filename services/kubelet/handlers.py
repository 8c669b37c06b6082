"""Calls of probes and hooks, and what came of them (pkg/kubelet/lifecycle, pkg/kubelet/prober)."""

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.container import Exec, Grpc, HttpGet, TcpSocket
from podwire.proto.messages import runtime
from podwire.services.kubelet.core.probes import named_port

Call = runtime.ProbePod | runtime.ExecSync


class CannotProbe(Exception):
    """What a probe or hook asks for is not possible; says why."""


def exec_call(action: Exec, container: str, timeout: float) -> Call:
    """A program in the container."""
    return runtime.ExecSync(container=container, command=list(action.command or []), timeout=timeout)


def http_call(action: HttpGet, spec: ContainerSpec, address: str, timeout: float) -> runtime.ProbePod:
    """An HTTP or HTTPS request from the machine; whose the certificate is does not matter. Raises CannotProbe."""
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    headers = [(entry.name, entry.value) for entry in action.http_headers or []]
    host = next((value for name, value in headers if name.lower() == "host"), "")
    return runtime.ProbePod(
        kind="https" if action.scheme.upper() == "HTTPS" else "http",
        address=action.host or address,
        port=_port(spec, action.port),
        path=path,
        host=host,
        headers=[entry for entry in headers if entry[0].lower() != "host"],
        timeout=timeout,
    )


def tcp_call(action: TcpSocket, spec: ContainerSpec, address: str, timeout: float) -> Call:
    """A TCP connection from the machine. Raises CannotProbe."""
    return runtime.ProbePod(kind="tcp", address=action.host or address, port=_port(spec, action.port), timeout=timeout)


def grpc_call(action: Grpc, address: str, timeout: float) -> Call:
    """A gRPC health check from the machine."""
    return runtime.ProbePod(kind="grpc", address=address, port=action.port, service=action.service, timeout=timeout)


def _port(spec: ContainerSpec, port: int | str) -> int:
    number = named_port(spec, port)
    if number is None:
        raise CannotProbe(f"couldn't find port: {port!r} in container {spec.name}")
    return number


def outcome(result: runtime.Result) -> tuple[bool, str]:
    """Whether it succeeded, and what was seen."""
    if isinstance(result, runtime.ProbeResult):
        return result.success, result.output
    if isinstance(result, runtime.ExecResult):
        output = (result.stdout + result.stderr).decode(errors="replace")[:1024]
        return result.code == 0, output
    return False, f"answered with {type(result).__name__}"
