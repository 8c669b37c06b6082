"""postStart and preStop (kubernetes `pkg/kubelet/lifecycle/handlers.go`, `pkg/kubelet/kuberuntime`)."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.container import Hook
from podwire.proto.kube.families import host_port
from podwire.proto.messages import runtime
from podwire.services.kubelet.handlers import CannotProbe, exec_call, http_call, outcome
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

_HTTP_TIMEOUT: Final = 30.0
_LONGEST: Final = 24 * 3600.0
_HTTP_ANSWER: Final = "http: server gave HTTP response to HTTPS client"


class HookFailed(Exception):
    """A hook failed; the message is the Event's."""


async def run_hook(
    client: RuntimeClient,
    hook: Hook,
    spec: ContainerSpec,
    container: str,
    address: str,
    warn: Callable[[str, str], None],
    limit: float = _LONGEST,
) -> None:
    """Runs a hook to its end, for at most `limit` seconds; `warn` takes the reason and message of an Event. Raises
    HookFailed."""
    if hook.sleep is not None:
        await asyncio.sleep(min(hook.sleep.seconds, limit))
        return
    try:
        if hook.exec is not None:
            await _run_program(client, exec_call(hook.exec, container, limit), limit)
        elif hook.http_get is not None:
            await _ask(client, http_call(hook.http_get, spec, address, min(_HTTP_TIMEOUT, limit)), warn)
    except (RuntimeFailed, CannotProbe) as error:
        raise HookFailed(str(error)) from None


async def _ask(client: RuntimeClient, call: runtime.ProbePod, warn: Callable[[str, str], None]) -> None:
    """A hook's HTTP answer does not matter, only that there was one. A server that answers HTTPS with HTTP is asked
    again with HTTP (handlers.go, runHTTPHandler)."""
    success, output = outcome(await client.call(call, call.timeout + 5))
    if call.kind == "https" and output.endswith(_HTTP_ANSWER):
        plain = msgspec.structs.replace(call, kind="http")
        success, output = outcome(await client.call(plain, call.timeout + 5))
        place = host_port(call.address, call.port)
        text = f"request to HTTPS lifecycle hook {place} got HTTP response, retry with HTTP succeeded"
        if _answered(success, output):
            warn("LifecycleHTTPFallback", text)
    if not _answered(success, output):
        raise HookFailed(output)


def _answered(success: bool, output: str) -> bool:
    return success or output.startswith("HTTP probe failed with statuscode")


async def _run_program(client: RuntimeClient, call: runtime.Call, limit: float) -> None:
    result = await client.call(call, limit + 5)
    if isinstance(result, runtime.ExecResult) and result.code:
        assert isinstance(call, runtime.ExecSync)
        command = f"[{' '.join(call.command)}]"
        text = f"command '{' '.join(call.command)}' exited with {result.code}: {result.stderr.decode(errors='replace')}"
        raise HookFailed(f"Exec lifecycle hook ({command}) failed - error: {text}")
