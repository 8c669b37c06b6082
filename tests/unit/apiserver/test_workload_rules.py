"""What StatefulSets, Jobs, CronJobs, budgets, autoscalers, claims and volumes may say."""

from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json

POD = {"containers": [{"name": "a", "image": "a"}]}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": POD}
SELECTOR = {"matchLabels": {"app": "a"}}
STATEFUL_SET = {"serviceName": "a", "selector": SELECTOR, "template": TEMPLATE}
JOB = {"template": {"spec": POD | {"restartPolicy": "Never"}}}
CRON_JOB = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": JOB}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"}}
SCALER = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}}
ROOTS = {
    "StatefulSet": ("apps/v1", "namespaces/default/statefulsets", STATEFUL_SET),
    "Job": ("batch/v1", "namespaces/default/jobs", JOB),
    "CronJob": ("batch/v1", "namespaces/default/cronjobs", CRON_JOB),
    "PodDisruptionBudget": ("policy/v1", "namespaces/default/poddisruptionbudgets", {"selector": SELECTOR}),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "namespaces/default/horizontalpodautoscalers", SCALER),
    "PersistentVolumeClaim": ("v1", "namespaces/default/persistentvolumeclaims", CLAIM),
    "PersistentVolume": ("v1", "persistentvolumes", VOLUME),
}


def path_of(kind: str) -> str:
    version, rest, _ = ROOTS[kind]
    return f"/{'apis' if '/' in version else 'api'}/{version}/{rest}"


def body_of(kind: str, change: dict[str, Any]) -> dict[str, Any]:
    version, _, spec = ROOTS[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": copy_json(spec) | change}


@pytest.mark.parametrize("kind", ROOTS)
def test_what_is_well_formed_is_taken_and_may_be_put_back_unchanged(server: Any, kind: str) -> None:
    made = server.create(path_of(kind), body_of(kind, {}))
    revision = server.store.revision
    code, again = server.request("PUT", f"{path_of(kind)}/a", made)
    assert (code, again) == (200, made)
    assert server.store.revision == revision


REFUSED = [
    ("StatefulSet", {"template": {"spec": POD}}, "spec.template.metadata.labels: Invalid value"),
    ("StatefulSet", {"podManagementPolicy": "Any"}, 'supported values: "OrderedReady", "Parallel"'),
    ("StatefulSet", {"volumeClaimTemplates": [{"spec": {}}]}, "volumeClaimTemplates[0].spec.accessModes: Required"),
    ("Job", {"template": {"spec": POD}}, 'restartPolicy: Required value: valid values: "OnFailure", "Never"'),
    ("Job", {"completionMode": "Indexed", "parallelism": 1}, "spec.completions: Required value: when completion mode"),
    ("Job", {"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1"),
    ("CronJob", {"schedule": "often"}, 'Invalid value: "often": expected exactly 5 fields, found 1: [often]'),
    ("CronJob", {"schedule": "61 * * * *"}, "spec.schedule: Invalid value"),
    ("CronJob", {"timeZone": "Mars/Olympus"}, "spec.timeZone: Invalid value"),
    ("CronJob", {"schedule": "TZ=UTC 0 * * * *"}, "cannot use TZ or CRON_TZ in schedule"),
    ("PodDisruptionBudget", {"minAvailable": 1, "maxUnavailable": 1}, "cannot be both set"),
    ("PodDisruptionBudget", {"minAvailable": "half"}, "a valid percent string"),
    ("HorizontalPodAutoscaler", {"minReplicas": 4}, "must be greater than or equal to `minReplicas`"),
    ("PersistentVolumeClaim", {"accessModes": []}, "at least 1 access mode is required"),
    ("PersistentVolumeClaim", {"resources": {}}, "spec.resources[storage]: Required value"),
    ("PersistentVolume", {"hostPath": None}, "must specify a volume type"),
    ("PersistentVolume", {"local": {"path": "/a"}}, "may not specify more than 1 volume type"),
]


@pytest.mark.parametrize(("kind", "change", "text"), REFUSED)
def test_what_is_refused_says_which_field_and_why(server: Any, kind: str, change: dict[str, Any], text: str) -> None:
    code, answer = server.request("POST", path_of(kind), body_of(kind, change))
    assert code == 422
    assert text in answer["message"]


FROZEN = [
    ("StatefulSet", {"serviceName": "b"}, "updates to statefulset spec for fields other than"),
    ("Job", {"completions": 2}, "spec.completions: Invalid value: 2: field is immutable"),
    ("PersistentVolumeClaim", {"accessModes": ["ReadWriteMany"]}, "spec is immutable after creation"),
    ("PersistentVolume", {"hostPath": {"path": "/other"}}, "is immutable after creation"),
]


@pytest.mark.parametrize(("kind", "change", "text"), FROZEN)
def test_what_may_not_change(server: Any, kind: str, change: dict[str, Any], text: str) -> None:
    made = server.create(path_of(kind), body_of(kind, {}))
    made["spec"] |= change
    code, answer = server.request("PUT", f"{path_of(kind)}/a", made)
    assert code == 422
    assert text in answer["message"]


def test_containers_of_a_stateful_set_may_mount_its_claims(server: Any) -> None:
    mounted = {"containers": [{"name": "a", "image": "a", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]}
    change = {"template": TEMPLATE | {"spec": mounted}}
    code, answer = server.request("POST", path_of("StatefulSet"), body_of("StatefulSet", change))
    assert (code, 'volumeMounts[0].name: Not found: "d"' in answer["message"]) == (422, True)
    claims = {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": CLAIM}]}
    server.create(path_of("StatefulSet"), body_of("StatefulSet", change | claims))


def test_a_job_selects_its_pods_by_its_uid(server: Any) -> None:
    made = server.create(path_of("Job"), body_of("Job", {}))
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        "batch.kubernetes.io/job-name": "a",
        "job-name": "a",
        "batch.kubernetes.io/controller-uid": uid,
        "controller-uid": uid,
    }


def test_an_autoscaler_of_either_version_is_one_object(server: Any) -> None:
    old = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    body = body_of("HorizontalPodAutoscaler", {"targetCPUUtilizationPercentage": 50}) | {"apiVersion": "autoscaling/v1"}
    server.create(old, body)
    new = server.get(f"{path_of('HorizontalPodAutoscaler')}/a")
    assert new["spec"]["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 50},
    }
    assert server.get(f"{old}/a")["spec"]["targetCPUUtilizationPercentage"] == 50
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    cells = server.get(f"{old}/a", accept=accept)["rows"][0]["cells"]
    assert cells[:6] == ["a", "Deployment/a", "cpu: <unknown>/50%", "1", 3, 0]
