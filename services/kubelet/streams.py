"""exec, attach, port-forward and logs: what the API server asks of a kubelet, set up with the runtime."""

from podwire.proto import subjects
from podwire.proto.messages import codec, runtime
from podwire.proto.messages import kubelet as messages
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core import paths
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.logs import LogReading
from podwire.services.kubelet.pleg import PodLifecycle
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed


class Streams:
    """Answers on `kubelet.<node>`."""

    def __init__(self, context: Context, client: RuntimeClient, lifecycle: PodLifecycle, node: str) -> None:
        self._context, self._client, self._lifecycle, self._node = context, client, lifecycle, node
        Responder(context.bus, context.tasks, self._answer).serve(subjects.kubelet(node))

    async def _answer(self, message: Message) -> bytes:
        try:
            request: messages.KubeletRequest = codec.decode_union(messages.KubeletRequest, message.payload)
        except codec.ForeignMessage as error:
            return codec.encode(_refused(400, "BadRequest", str(error)))
        if isinstance(request, messages.PathRequest):
            return codec.encode(paths.answer(request.method, request.path, self._lifecycle.pods))
        try:
            return codec.encode(await self._open(request))
        except RuntimeFailed as error:
            return codec.encode(_refused(500, "InternalError", str(error)))

    async def _open(self, request: messages.StreamRequest) -> messages.KubeletReply:
        held = self._held(request)
        if isinstance(request, messages.LogRequest):
            return self._open_log(request, held)
        if isinstance(request, messages.PortForwardRequest):
            return await self._open_forward(request, held)
        container = held.newest(request.container)
        if container is None:
            return _refused(404, "NotFound", f'container not found ("{request.container}")')
        if container.state != "RUNNING":
            text = f"container is in CONTAINER_{container.state} state"
            return _refused(500, "InternalError", f"failed to exec in container: {text}")
        command = request.command if isinstance(request, messages.ExecRequest) else []
        call = runtime.StartExec(
            container=container.id,
            session=request.session,
            command=command,
            stdin=request.stdin,
            tty=request.tty,
            attach=isinstance(request, messages.AttachRequest),
        )
        await self._client.call(call)
        return messages.StreamOpened(session=request.session)

    async def _open_forward(self, request: messages.PortForwardRequest, held: RuntimePod) -> messages.KubeletReply:
        sandbox = held.sandbox
        if sandbox is None:
            return _refused(404, "NotFound", "pod does not exist")
        call = runtime.StartPortForward(sandbox=sandbox.id, session=request.session, port=request.port)
        await self._client.call(call)
        return messages.StreamOpened(session=request.session)

    def _held(self, request: messages.StreamRequest) -> RuntimePod:
        """By uid; a mirror pod's uid is not the static pod's, so the name is tried as well."""
        if (held := self._lifecycle.pods.get(request.uid)) is not None:
            return held
        for held in self._lifecycle.pods.values():
            names = [(entry.config.namespace, entry.config.name) for entry in held.sandboxes]
            if (request.namespace, request.pod) in names:
                return held
        return RuntimePod()

    # -- logs

    def _open_log(self, request: messages.LogRequest, held: RuntimePod) -> messages.KubeletReply:
        attempts = held.attempts(request.container)
        chosen = attempts[-2:-1] if request.previous else attempts[-1:]
        if not chosen:
            kind = "previous terminated container" if request.previous else "container"
            text = f'{kind} "{request.container}" in pod "{request.pod}" not found'
            return _refused(400, "BadRequest", text)
        reading = LogReading(self._context, self._client, request, chosen[0].id, self._node)
        self._context.tasks.start(reading.run(), name="log")
        return messages.StreamOpened(session=request.session)


def _refused(code: int, reason: str, message: str) -> messages.StreamRefused:
    return messages.StreamRefused(code=code, reason=reason, message=message)
