"""The kubelet's shell: one worker a pod, the node's own report, exec and logs."""

from podwire.proto.kube import resources
from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import runtime
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.events import EventRecorder
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.kubelet import static_pods
from podwire.services.kubelet.core.backoff import Backoff
from podwire.services.kubelet.core.volumes import pod_folder
from podwire.services.kubelet.pleg import PodLifecycle
from podwire.services.kubelet.registration import Registration
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed
from podwire.services.kubelet.settings import KubeletSettings
from podwire.services.kubelet.streams import Streams
from podwire.services.kubelet.surroundings import Surroundings
from podwire.services.kubelet.worker import PodWorker


class Kubelet:
    """Runs the pods that are bound to its node."""

    def __init__(self, context: Context, settings: KubeletSettings) -> None:
        self._context, self._settings = context, settings
        user = f"system:node:{settings.node}"
        self._client = ApiClient(context.bus, user, "kubelet")
        self._watching = Watching(context.bus, context.clock, self._client, context.tasks)
        self._runtime = RuntimeClient(context, settings.node)
        self._lifecycle = PodLifecycle(context, self._runtime, settings.node, self._runtime_changed)
        self._workers: dict[str, PodWorker] = {}
        self._mirrored: dict[tuple[str, str], str] = {}
        self._pods: Watch[Pod] | None = None
        self._around: Surroundings | None = None

    async def run(self) -> None:
        """Works until the process ends; pods and their rules live on without it."""
        context = self._context
        serve_health(context, lambda: {"pods": str(len(self._workers)), "boot": self._runtime.boot_id})
        context.tasks.start(self._lifecycle.run(), name="list the runtime")
        Streams(context, self._runtime, self._lifecycle, self._settings.node)
        services = self._watching.watch(resources.SERVICES, Service, lambda key: None)
        events = EventRecorder(context, self._client, "kubelet")
        self._around = Surroundings(
            context=context,
            settings=self._settings,
            client=self._client,
            runtime=self._runtime,
            lifecycle=self._lifecycle,
            events=events,
            backoff=Backoff(),
            services=services,
        )
        self._start_static_pods(self._around)
        node = self._settings.node
        self._pods = self._watching.watch(
            resources.PODS, Pod, self._pod_changed, wanted=lambda key, bound_to: bound_to == node
        )
        await Registration(context, self._settings, self._client, self._runtime, self._lifecycle).run()

    # -- which pods

    def _start_static_pods(self, around: Surroundings) -> None:
        if not self._settings.static_pods:
            return
        for static in static_pods.read(self._settings.static_pods, self._settings.node):
            metadata = static.pod.metadata
            self._mirrored[metadata.namespace, metadata.name] = metadata.uid
            self._start(PodWorker(around, static.pod, is_static=True), metadata.uid)
            work = static_pods.keep_mirror(self._context, self._client, static)
            self._context.tasks.start(work, name=f"mirror {metadata.name}")

    def _start(self, worker: PodWorker, uid: str) -> None:
        self._workers[uid] = worker
        self._context.tasks.start(self._work(worker, uid), name=f"pod {worker.pod.metadata.name}")

    async def _work(self, worker: PodWorker, uid: str) -> None:
        await worker.run()
        self._workers.pop(uid, None)

    def _pod_changed(self, key: ObjectKey | None) -> None:
        assert self._pods is not None
        if key is None:
            for each, pod in list(self._pods.objects.items()):
                self._take(pod, self._pods.revisions[each])
            self._end_unknown()
        elif (found := self._pods.objects.get(key)) is not None:
            self._take(found, self._pods.revisions[key])
        else:
            self._lost(key)

    def _take(self, pod: Pod, revision: int) -> None:
        assert self._around is not None
        if static_pods.is_mirror(pod):
            worker = self._workers.get(self._mirrored.get((pod.metadata.namespace, pod.metadata.name), ""))
            if worker is not None:
                worker.view.mirror_uid = pod.metadata.uid
                worker.tell(pod.status, revision)
            return
        self._end_namesake(pod)
        worker = self._workers.get(pod.metadata.uid)
        if worker is None:
            worker = PodWorker(self._around, pod)
            self._start(worker, pod.metadata.uid)
        else:
            worker.update(pod)
        worker.tell(pod.status, revision)

    def _end_namesake(self, pod: Pod) -> None:
        """A pod of the same name and another uid was deleted and made anew while nobody looked."""
        for uid, worker in self._workers.items():
            metadata = worker.pod.metadata
            same = (metadata.namespace, metadata.name) == (pod.metadata.namespace, pod.metadata.name)
            if same and uid != pod.metadata.uid and not worker.is_static:
                worker.update(None)

    def _lost(self, key: ObjectKey) -> None:
        for worker in self._workers.values():
            metadata = worker.pod.metadata
            if (metadata.namespace, metadata.name) == (key.namespace, key.name) and not worker.is_static:
                worker.update(None)

    def _end_unknown(self) -> None:
        """After a list: pods that the machine runs and the API does not know are ended."""
        assert self._pods is not None
        known = {pod.metadata.uid: None for pod in self._pods.objects.values()}
        for uid, worker in self._workers.items():
            if uid not in known and not worker.is_static:
                worker.update(None)
        self._context.tasks.start(self._end_orphans(), name="end orphans")

    async def _end_orphans(self) -> None:
        await self._lifecycle.listed.wait()
        for uid, held in list(self._lifecycle.pods.items()):
            if uid in self._workers:
                continue
            try:
                for sandbox in held.sandboxes:
                    await self._runtime.call(runtime.StopPodSandbox(sandbox=sandbox.id))
                    await self._runtime.call(runtime.RemovePodSandbox(sandbox=sandbox.id))
                await self._runtime.call(runtime.RemoveFiles(folder=pod_folder(uid)))
            except RuntimeFailed as error:
                self._context.log.warning("an orphaned pod was not ended", uid=uid, reason=str(error))

    def _runtime_changed(self, uids: list[str]) -> None:
        for uid in uids:
            if (worker := self._workers.get(uid)) is not None:
                worker.wake()
