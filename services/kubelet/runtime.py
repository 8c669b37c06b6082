"""The kubelet's side of CRI: calls to its machine, refused when the machine has booted since."""

from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec, runtime
from podwire.services.chassis.bus import base, pieces
from podwire.services.chassis.context import Context

_TIMEOUT: Final = 10.0


class RuntimeFailed(Exception):
    """The machine refused a call or does not answer; `code` is a gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RuntimeClient:
    """Calls to the runtime of one machine. `boot_id` is learnt from its first inventory."""

    def __init__(self, context: Context, node: str) -> None:
        self.boot_id = ""
        self._bus = context.bus
        self._subject = subjects.runtime(node)

    async def call(self, call: runtime.Call, timeout: float = _TIMEOUT) -> runtime.Result:
        """One call. Raises RuntimeFailed."""
        answer = await self._ask(runtime.RuntimeRequest(boot_id=self.boot_id, call=call), timeout)
        if isinstance(answer.result, runtime.Failed):
            raise RuntimeFailed(answer.result.code, answer.result.message)
        return answer.result

    async def _ask(self, request: runtime.RuntimeRequest, timeout: float) -> runtime.RuntimeAnswer:
        try:
            payload = await pieces.request(self._bus, self._subject, codec.encode(request), timeout)
            return codec.decode(runtime.RuntimeAnswer, payload)
        except base.BusError as error:
            raise RuntimeFailed("Unavailable", f"container runtime is down: {error}") from None
        except codec.ForeignMessage as error:
            raise RuntimeFailed("Internal", str(error)) from None

    async def inventory(self) -> runtime.Inventory:
        """Everything the runtime holds; also learns which boot this is. Raises RuntimeFailed."""
        answer = await self._ask(runtime.RuntimeRequest(boot_id="", call=runtime.ListAll()), _TIMEOUT)
        if not isinstance(answer.result, runtime.Inventory):
            raise RuntimeFailed("Internal", f"ListAll was answered with {type(answer.result).__name__}")
        self.boot_id = answer.boot_id
        return answer.result

    async def run_sandbox(self, config: runtime.SandboxConfig) -> runtime.Sandbox:
        """Makes a sandbox. Raises RuntimeFailed."""
        result = await self.call(runtime.RunPodSandbox(config=config))
        if not isinstance(result, runtime.SandboxAnswer):
            raise RuntimeFailed("Internal", f"RunPodSandbox was answered with {type(result).__name__}")
        return result.sandbox

    async def create_container(self, sandbox: str, config: runtime.ContainerConfig) -> runtime.ContainerAnswer:
        """Makes a container. Raises RuntimeFailed."""
        result = await self.call(runtime.CreateContainer(sandbox=sandbox, config=config))
        if not isinstance(result, runtime.ContainerAnswer):
            raise RuntimeFailed("Internal", f"CreateContainer was answered with {type(result).__name__}")
        return result
