"""Starting a container: its configuration, the process that claims it, its postStart hook (kuberuntime's
startContainer)."""

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.container import SecurityContext
from podwire.proto.messages import runtime
from podwire.services.kubelet.claims import component_of, offer
from podwire.services.kubelet.core.actions import StartContainer
from podwire.services.kubelet.core.container_status import Waiting
from podwire.services.kubelet.core.decide import backoff_key
from podwire.services.kubelet.core.ending import grace_of
from podwire.services.kubelet.core.references import CannotConfigure
from podwire.services.kubelet.core.variables import environment, expanded
from podwire.services.kubelet.hooks import HookFailed, run_hook
from podwire.services.kubelet.lookups import Lookups
from podwire.services.kubelet.runtime import RuntimeFailed
from podwire.services.kubelet.surroundings import PodView, Surroundings
from podwire.services.kubelet.volumes import PodVolumes


class NoProcess(Exception):
    """Nobody took a claimed container; says what to start."""


class Starting:
    """Starts the containers of one pod. `waiting` says why one does not run; `starting` names those whose postStart
    hook still runs, by container id."""

    def __init__(self, around: Surroundings, view: PodView, lookups: Lookups, volumes: PodVolumes) -> None:
        self.waiting: dict[str, Waiting] = {}
        self._around, self._view, self._lookups, self._volumes = around, view, lookups, volumes

    async def start(self, action: StartContainer) -> None:
        """Raises RuntimeFailed, ApiError, ApiUnavailable, CannotConfigure, CannotMount, NoProcess."""
        name, view = action.name, self._view
        spec = next(entry for entry in view.pod.spec.all_containers if entry.name == name)
        sandbox = view.held().sandbox
        if sandbox is None:
            raise RuntimeFailed("FailedPrecondition", "the sandbox is gone")
        config = await self._config(spec, action.attempt)
        answer = await self._around.runtime.create_container(sandbox.id, config)
        container = answer.container
        view.event("Created", f"Created container: {name}", container=name)
        if answer.stand_in:
            view.event("ImageNotBuilt", answer.stand_in, container=name)
        claimant = await self._find_process(config.claimed, container.id) if config.claimed else ""
        await self._around.runtime.call(runtime.StartContainer(container=container.id, claimant=claimant))
        if action.attempt:
            self._around.backoff.next(backoff_key(view.pod, name), self._around.context.clock.now_ns())
        self.waiting.pop(name, None)
        view.event("Started", f"Started container {name}", container=name)
        await self._post_start(spec, container.id)

    async def _config(self, spec: ContainerSpec, attempt: int) -> runtime.ContainerConfig:
        view, settings = self._view, self._around.settings
        values = environment(view.pod, spec, await self._lookups.references(), view.addresses())
        context = spec.security_context or SecurityContext()
        user, group = _user(view, context)
        return runtime.ContainerConfig(
            name=spec.name,
            attempt=attempt,
            image=spec.image,
            command=expanded(spec.command, values),
            arguments=expanded(spec.args, values),
            environment=values,
            working_folder=spec.working_dir,
            mounts=await self._volumes.mounts(spec, values),
            ports=[(port.protocol, port.container_port) for port in spec.ports or []],
            claimed=component_of(spec.image, settings.claimed_images, settings.claimed_names),
            stdin=spec.stdin,
            stdin_once=spec.stdin_once,
            tty=spec.tty,
            termination_message_path=spec.termination_message_path,
            termination_message_policy=spec.termination_message_policy,
            stop_signal=spec.lifecycle.stop_signal if spec.lifecycle is not None else "",
            user=user,
            group=group,
            read_only_root=context.read_only_root_filesystem,
            target=self._target(spec),
        )

    def _target(self, spec: ContainerSpec) -> str:
        target = self._view.held().newest(spec.target_container_name) if spec.target_container_name else None
        return target.id if target is not None else ""

    async def _find_process(self, component: str, container: str) -> str:
        around, metadata = self._around, self._view.pod.metadata
        place = f"{metadata.namespace}/{metadata.name}"
        claim = await offer(around.context, around.settings.node, around.runtime.boot_id, component, container, place)
        if claim is not None:
            return claim.connection
        await around.runtime.call(runtime.RemoveContainer(container=container))
        module = component.replace("-", "_")
        start = f"start one, as python -m podwire.services.{module} does"
        raise NoProcess(f"no idle {component} process took the container: {start}")

    async def _post_start(self, spec: ContainerSpec, container: str) -> None:
        """A container whose hook fails is killed; the pod's other containers wait for the hook, as in the kubelet."""
        hook = spec.lifecycle.post_start if spec.lifecycle is not None else None
        if hook is None:
            return

        def warn(reason: str, message: str) -> None:
            self._view.event(reason, message, True, spec.name)

        try:
            await run_hook(self._around.runtime, hook, spec, container, self._view.addresses().pod, warn)
        except HookFailed as error:
            self._view.event("FailedPostStartHook", f"PostStartHook failed: {error}", True, spec.name)
            self._view.event("Killing", "FailedPostStartHook", container=spec.name)
            grace = float(grace_of(self._view.pod))
            await self._around.runtime.call(runtime.StopContainer(container=container, grace=grace))


def _user(view: PodView, own: SecurityContext) -> tuple[int, int]:
    """The ids that the container runs with: its own, else the pod's, else root. Raises CannotConfigure."""
    pod = view.pod.spec.security_context or SecurityContext()
    users = [value for value in (own.run_as_user, pod.run_as_user) if value is not None]
    groups = [value for value in (own.run_as_group, pod.run_as_group) if value is not None]
    user, group = (users or [0])[0], (groups or [0])[0]
    wants_other = pod.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
    if wants_other and user == 0 and users:
        name = view.pod.metadata.name
        raise CannotConfigure(
            f'container\'s runAsUser breaks non-root policy (pod: "{name}_{view.pod.metadata.namespace}")'
        )
    if wants_other and user == 0:
        raise CannotConfigure("container has runAsNonRoot and image will run as root")
    return user, group
