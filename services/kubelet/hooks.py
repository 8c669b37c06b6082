"""postStart and preStop (kubernetes `pkg/kubelet/lifecycle/handlers.go`, `pkg/kubelet/kuberuntime`)."""

import asyncio
from typing import Final

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.container import Hook
from podwire.proto.messages import runtime
from podwire.services.kubelet.handlers import CannotProbe, exec_call, http_call, outcome
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

_HTTP_TIMEOUT: Final = 30.0
_LONGEST: Final = 24 * 3600.0


class HookFailed(Exception):
    """A hook failed; the message is the Event's."""


async def run_hook(
    client: RuntimeClient, hook: Hook, spec: ContainerSpec, container: str, address: str, limit: float = _LONGEST
) -> None:
    """Runs a hook to its end, for at most `limit` seconds. Raises HookFailed."""
    if hook.sleep is not None:
        await asyncio.sleep(min(hook.sleep.seconds, limit))
        return
    try:
        if hook.exec is not None:
            await _run_program(client, exec_call(hook.exec, container, limit), limit)
        elif hook.http_get is not None:
            timeout = min(_HTTP_TIMEOUT, limit)
            result = await client.call(http_call(hook.http_get, spec, address, timeout), timeout + 5)
            _check_answer(result)
    except (RuntimeFailed, CannotProbe) as error:
        raise HookFailed(str(error)) from None


def _check_answer(result: runtime.Result) -> None:
    """A hook's HTTP answer does not matter, only that there was one (handlers.go, runHTTPHandler)."""
    success, output = outcome(result)
    if not success and not output.startswith("HTTP probe failed with statuscode"):
        raise HookFailed(output)


async def _run_program(client: RuntimeClient, call: runtime.Call, limit: float) -> None:
    result = await client.call(call, limit + 5)
    if isinstance(result, runtime.ExecResult) and result.code:
        assert isinstance(call, runtime.ExecSync)
        command = f"[{' '.join(call.command)}]"
        text = f"command '{' '.join(call.command)}' exited with {result.code}: {result.stderr.decode(errors='replace')}"
        raise HookFailed(f"Exec lifecycle hook ({command}) failed - error: {text}")
