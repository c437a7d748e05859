"""The manifests for KubeRay. Pods and volumes are checked against Kubernetes' published schemas.

The schema of KubeRay's own resources is in no package. The fields that they may have, and their types, are listed here
from its documentation (``ray.io/v1``, release 1.7); what it rejects beyond types is checked one by one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

Document = dict[str, Any]

KUBERNETES = "1.30"
"""The oldest release that the manifests are checked against."""

STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 0}
STRINGS = {"type": "object", "additionalProperties": STRING}
CORE = {"type": "object"}  # Kubernetes' own, checked by its schema


def closed(required: str = "", **properties: Any) -> Document:
    """A mapping with these keys and no other."""
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required.split()}


CLUSTER = closed(
    "headGroupSpec",
    rayVersion=STRING,
    enableInTreeAutoscaling=BOOLEAN,
    autoscalerOptions=closed(
        version={"enum": ["v1", "v2"]},
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds=COUNT,
        resources=CORE,
        securityContext=CORE,
    ),
    authOptions=closed("mode", mode={"enum": ["token", "disabled"]}, secretName=STRING),
    headGroupSpec=closed("template", rayStartParams=STRINGS, labels=STRINGS, resources=STRINGS, template=CORE),
    workerGroupSpecs={
        "type": "array",
        "items": closed(
            "groupName template",
            groupName=STRING,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            idleTimeoutSeconds=COUNT,
            priority=INTEGER,
            rayStartParams=STRINGS,
            labels=STRINGS,
            resources=STRINGS,
            template=CORE,
        ),
    },
)
JOB = closed(
    "entrypoint rayClusterSpec",
    entrypoint=STRING,
    entrypointNumCpus={"type": "number"},
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    shutdownAfterJobFinishes=BOOLEAN,
    ttlSecondsAfterFinished=COUNT,
    backoffLimit=COUNT,
    preRunningDeadlineSeconds={"type": "integer", "minimum": 1},
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    rayClusterSpec=CLUSTER,
)


@pytest.fixture(scope="module")
def job(read: Callable[[str], list[Any]]) -> Document:
    (document,) = read("kubernetes/rayjob.yaml")
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def cluster(read: Callable[[str], list[Any]]) -> Document:
    (document,) = read("kubernetes/raycluster.yaml")
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def volume(read: Callable[[str], list[Any]]) -> Document:
    (document,) = read("kubernetes/storage.yaml")
    assert isinstance(document, dict)
    return document


def pods(cluster: Document) -> Iterator[tuple[str, Document]]:
    spec = cluster["spec"]
    yield "head", spec["headGroupSpec"]["template"]["spec"]
    for group in spec["workerGroupSpecs"]:
        yield group["groupName"], group["template"]["spec"]


def checked_by_kubernetes(document: Document) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_kuberays_fields_are_known_and_of_the_right_type(job: Document, cluster: Document) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    jsonschema.Draft202012Validator(JOB).validate(job["spec"])
    checked = jsonschema.Draft202012Validator(CLUSTER)
    checked.validate(cluster["spec"])
    group = {**cluster["spec"]["workerGroupSpecs"][0], "maxReplica": 1}
    assert not checked.is_valid({**cluster["spec"], "workerGroupSpecs": [group]})


def test_pods_and_the_volume_are_valid_by_kubernetes_schemas(cluster: Document, volume: Document) -> None:
    checked_by_kubernetes(volume)
    for name, pod in pods(cluster):
        checked_by_kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod})
    with pytest.raises(kubernetes_validate.ValidationError):
        checked_by_kubernetes(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {**pod, "toleration": []}}
        )
    autoscaler = cluster["spec"]["autoscalerOptions"]
    container = {"name": "x", "resources": autoscaler["resources"], "securityContext": autoscaler["securityContext"]}
    checked_by_kubernetes(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}}
    )


def test_a_jobs_cluster_is_the_one_that_lasts(job: Document, cluster: Document) -> None:
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]


def test_a_training_takes_its_cluster_along_when_it_ends_and_is_tried_again_when_it_fails(job: Document) -> None:
    spec = job["spec"]
    assert re.fullmatch(r"python -m pipelines\.train \w+ --params /etc/wavemix/params\.yaml", spec["entrypoint"])
    assert spec["shutdownAfterJobFinishes"]
    assert spec["backoffLimit"] >= 1
    assert "jobId" not in spec, "every try must have its own"


def test_every_pod_runs_the_projects_image_and_ray(cluster: Document, image: str, ray_version: str) -> None:
    assert cluster["spec"]["rayVersion"] == ray_version
    for name, pod in pods(cluster):
        assert [container["image"].endswith(f"/{image}") for container in pod["containers"]] == [True], name


def test_no_process_runs_as_root_or_can_become_it(cluster: Document) -> None:
    for _, pod in pods(cluster):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000
        for container in pod["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not cluster["spec"]["autoscalerOptions"]["securityContext"]["allowPrivilegeEscalation"]


def test_every_pod_has_the_shared_folder_the_parameters_and_room_in_shared_memory(
    cluster: Document, volume: Document
) -> None:
    for _, pod in pods(cluster):
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounts = {each["mountPath"]: volumes[each["name"]] for each in pod["containers"][0]["volumeMounts"]}
        assert mounts["/srv/wavemix"]["persistentVolumeClaim"]["claimName"] == volume["metadata"]["name"]
        assert mounts["/etc/wavemix"]["configMap"]["name"] == "wavemix-params"
        assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
        shared, memory = (
            int(size.removesuffix("Gi"))
            for size in (
                mounts["/dev/shm"]["emptyDir"]["sizeLimit"],
                pod["containers"][0]["resources"]["limits"]["memory"],
            )
        )
        assert 0.3 * memory < shared < 0.5 * memory, "Ray takes 30 % of the memory for its objects, and they lie there"
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]


def test_secrets_are_named_and_never_written(job: Document, cluster: Document, volume: Document) -> None:
    assert cluster["spec"]["authOptions"] == {"mode": "token", "secretName": "wavemix-token"}
    assert "Secret" not in {document["kind"] for document in (job, cluster, volume)}
    for _, pod in pods(cluster):
        for variable in pod["containers"][0]["env"]:
            assert not re.search(r"TOKEN|SECRET|PASSWORD|_KEY", variable["name"])


def test_the_head_has_no_work_and_needs_no_spot_node(cluster: Document) -> None:
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    head = dict(pods(cluster))["head"]
    assert "tolerations" not in head
    assert "affinity" not in head


def test_spot_nodes_are_tolerated_asked_for_and_taken_last(cluster: Document) -> None:
    groups = {group["groupName"]: group for group in cluster["spec"]["workerGroupSpecs"]}
    assert groups["on-demand"]["priority"] > groups["spot"]["priority"]
    assert cluster["spec"]["autoscalerOptions"]["version"] == "v2", "the first version knows no priority"
    spot = groups["spot"]["template"]["spec"]
    required = spot["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    asked = {expression["key"] for term in required["nodeSelectorTerms"] for expression in term["matchExpressions"]}
    assert {toleration["key"] for toleration in spot["tolerations"]} <= asked
    assert "tolerations" not in groups["on-demand"]["template"]["spec"]


@pytest.mark.filterwarnings("ignore")
def test_rays_autoscaler_reads_the_groups_as_they_are_meant(cluster: Document) -> None:
    from ray.autoscaler._private.kuberay import autoscaling_config  # noqa: PLC0415  (it takes seconds)

    groups = [{**group, "replicas": 0} for group in cluster["spec"]["workerGroupSpecs"]]  # which KubeRay fills in
    found = autoscaling_config._derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "x", "namespace": "x"}, "spec": {**cluster["spec"], "workerGroupSpecs": groups}}
    )
    types = found["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert {name: types[name]["resources"]["CPU"] for name in ("on-demand", "spot")} == {"on-demand": 4, "spot": 4}
    assert types["on-demand"]["priority"] > types["spot"]["priority"]
    assert found["max_workers"] == 5


def test_a_node_that_is_taken_away_has_time_to_save_a_checkpoint(cluster: Document) -> None:
    for _, pod in pods(cluster):
        variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        drained = float(variables["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
        assert 60 <= drained < pod["terminationGracePeriodSeconds"], "else Kubernetes kills it first"
        assert "restartPolicy" not in pod, "the autoscaler's second version wants it unset"
