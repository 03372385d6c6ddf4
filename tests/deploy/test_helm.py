"""The chart: what it renders is what deploy/kubernetes has, its values do what they say, and wrong ones are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import CHART, OTHER, Manifests, containers, helm, name_of, of_chart, of_kubernetes
from tools.release import ROOT, current

OF_HELM = {
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
"""Labels that each of its manifests has, and those of deploy/kubernetes do not."""

VALUES: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def leaves(values: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    """The path of each value that is no mapping, or one without keys of its own."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, *above, key)
        else:
            yield (*above, key)


def at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


@pytest.mark.parametrize("values", [{}, OTHER, {"migrate": {"enabled": False}, "networkPolicies": {"enabled": False}}])
def test_helm_finds_no_fault(values: Mapping[str, Any]) -> None:
    done = helm("lint", "--strict", CHART, values=values)
    assert not done.returncode, done.stdout + done.stderr


def test_the_chart_renders_what_is_applied_without_it() -> None:
    expected = {name_of(each): each for each in of_kubernetes().each if each["kind"] != "Namespace"}
    rendered = {name_of(each): each for each in of_chart({}).each}
    for manifest in rendered.values():
        labels = manifest["metadata"]["labels"]
        assert set(labels) >= OF_HELM
        kept = {key: value for key, value in labels.items() if key not in OF_HELM}
        manifest["metadata"] = {
            **{key: value for key, value in manifest["metadata"].items() if key not in ("labels", "annotations")},
            **({"labels": kept} if kept else {}),
        }
        if manifest["kind"] == "Deployment":
            (checksum,) = manifest["spec"]["template"]["metadata"].pop("annotations")
            assert checksum == "checksum/settings"
        if "template" in manifest.get("spec", {}):
            for container in containers(manifest):
                assert container["image"] == f"stockward:{current(ROOT)}"
                container["image"] = "stockward"
                assert container.pop("imagePullPolicy") == "IfNotPresent"
    job = expected["Job/migrate"]["spec"]["template"]["spec"]
    job["serviceAccountName"] = "migrate"
    job["containers"][0]["envFrom"][0]["configMapRef"]["name"] = "migrate"
    for_hook = {"ConfigMap/migrate", "ServiceAccount/migrate", "NetworkPolicy/migrate"}
    assert set(rendered) - set(expected) == for_hook
    assert {name: each for name, each in rendered.items() if name not in for_hook} == expected


@pytest.mark.parametrize("values", [{}, OTHER])
def test_migrating_comes_first_and_has_what_it_needs(values: Mapping[str, Any]) -> None:
    """Nothing else of the release is there then: not its settings, its account or its network policies."""
    manifests = of_chart(values)
    hooks = {
        name_of(each): each for each in manifests.each if "helm.sh/hook" in each["metadata"].get("annotations", {})
    }
    assert set(hooks) == {f"{kind}/migrate" for kind in ("Job", "ConfigMap", "ServiceAccount", "NetworkPolicy")}
    notes = {name: each["metadata"]["annotations"] for name, each in hooks.items()}
    assert {each["helm.sh/hook"] for each in notes.values()} == {"pre-install,pre-upgrade"}
    weights = {name: int(each["helm.sh/hook-weight"]) for name, each in notes.items()}
    assert all(weight < weights["Job/migrate"] for name, weight in weights.items() if name != "Job/migrate")
    assert all("before-hook-creation" in each["helm.sh/hook-delete-policy"] for each in notes.values())
    pod = hooks["Job/migrate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "migrate"
    assert pod["containers"][0]["envFrom"][0] == {"configMapRef": {"name": "migrate"}}
    assert hooks["ConfigMap/migrate"]["data"] == manifests.named("ConfigMap", "stockward")["data"]
    assert not hooks["ServiceAccount/migrate"]["automountServiceAccountToken"]
    policy = hooks["NetworkPolicy/migrate"]["spec"]
    assert policy["podSelector"]["matchLabels"] == hooks["Job/migrate"]["spec"]["template"]["metadata"]["labels"]
    beside = [manifests.named("NetworkPolicy", name)["spec"]["egress"] for name in ("to-names", "to-database")]
    assert policy["egress"] == [rule for rules in beside for rule in rules]


def test_migrating_and_the_policies_can_be_left_to_others() -> None:
    manifests = of_chart({"migrate": {"enabled": False}, "networkPolicies": {"enabled": False}})
    assert not [name_of(each) for each in manifests.each if each["kind"] == "NetworkPolicy"]
    assert not [name_of(each) for each in manifests.each if each["metadata"]["name"] == "migrate"]


def test_a_digest_is_the_image_of_every_container_and_a_tag_comes_after_it() -> None:
    digest, repository = OTHER["image"]["digest"], OTHER["image"]["repository"]
    for values, image in (
        (OTHER, f"{repository}@{digest}"),
        ({"image": {"repository": repository, "tag": "mine"}}, f"{repository}:mine"),
    ):
        for workload in of_chart(values).workloads():
            assert {each["image"] for each in containers(workload)} == {image}


def rendered(values: Mapping[str, Any]) -> str:
    return json.dumps(of_chart(values).each, sort_keys=True)


@pytest.mark.parametrize("path", list(leaves(VALUES)), ids=".".join)
def test_each_value_has_an_effect(path: tuple[str, ...]) -> None:
    """What it is in OTHER, or else `false`, or another port, changes what is rendered."""
    base: dict[str, Any] = {"edge": {"ingress": {"enabled": True, "hosts": ["a.example"]}}}
    changed = deepcopy(base)
    try:
        value = at(OTHER, path)
    except KeyError:
        value = {"port": 6432, "enabled": False}[path[-1]]
    if path == ("edge", "ingress", "enabled"):
        value = False
    inner = changed
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    assert rendered(changed) != rendered(base)


def test_the_other_values_are_where_they_belong() -> None:
    manifests = of_chart(OTHER)
    pods = {each["metadata"]["name"]: each["spec"]["template"] for each in manifests.workloads()}
    server, relay = (pods[name]["spec"]["containers"][0] for name in ("server", "relay"))
    assert server["resources"] == {"requests": {"cpu": "2", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
    assert server["startupProbe"]["failureThreshold"] == 90
    assert server["readinessProbe"]["timeoutSeconds"] == 4
    assert server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    assert relay["livenessProbe"]["periodSeconds"] == 20
    assert pods["server"]["spec"]["nodeSelector"] == {"pool": "shop"}
    assert pods["server"]["metadata"]["annotations"]["team"] == "shop"
    assert pods["edge"]["metadata"]["labels"] == {"app.kubernetes.io/name": "edge", "tier": "edge"}
    assert all(pod["spec"]["imagePullSecrets"] == [{"name": "registry"}] for pod in pods.values())
    assert manifests.named("Deployment", "relay")["spec"]["replicas"] == 3
    assert manifests.named("HorizontalPodAutoscaler", "server")["spec"]["maxReplicas"] == 12
    (rule,) = manifests.named("NetworkPolicy", "to-database")["spec"]["egress"]
    assert rule == {"ports": [{"port": 5432}], "to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}]}
    (rule,) = manifests.named("NetworkPolicy", "callers-to-edge")["spec"]["ingress"]
    assert [each["namespaceSelector"]["matchLabels"] for each in rule["from"]] == [
        {"kubernetes.io/metadata.name": "ingress-nginx"}
    ]
    assert "everybody-to-edge" not in {each["metadata"]["name"] for each in manifests.each}
    assert manifests.named("Service", "edge")["spec"]["type"] == "LoadBalancer"
    ingress = manifests.named("Ingress", "edge")["spec"]
    assert (
        [each["host"] for each in ingress["rules"]] == ingress["tls"][0]["hosts"] == ["shop.example", "*.shop.example"]
    )


def test_pods_start_again_when_a_setting_changes() -> None:
    def checksums(manifests: Manifests) -> set[str]:
        return {
            each["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
            for each in manifests.of_kind("Deployment")
        }

    before, after = checksums(of_chart({})), checksums(of_chart({"settings": {"STOCKWARD_POOL_SIZE": "11"}}))
    assert len(before) == len(after) == 1
    assert before != after


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image": {"repository": "stockward", "digest": "5a5a"}}, "/image/digest': '5a5a' does not match"),
        ({"image": {"repository": ""}}, "/image/repository': '' does not match"),
        ({"settings": {"STOCKWARD_POOL_SIZE": 20}}, "/settings/STOCKWARD_POOL_SIZE': got number, want string"),
        ({"settings": {"poolSize": "20"}}, "invalid propertyName 'poolSize'"),
        (
            {"settings": {"DATABASE_URL": "postgresql:///"}},
            "settings.DATABASE_URL is a secret: put it into the Secrets",
        ),
        ({"settings": {"PMS_WEBHOOK_SECRET": "whsec_"}}, "settings.PMS_WEBHOOK_SECRET is a secret"),
        ({"settings": {"STOCKWARD_GRPC_ADDRESS": "0.0.0.0:1"}}, "the addresses to listen on are the image's"),
        ({"secrets": {"server": "Stockward Server"}}, "/secrets/server': 'Stockward Server' does not match"),
        ({"server": {"replicas": {"min": 9, "max": 8}}}, "server.replicas: min is 9 and max is 8"),
        ({"server": {"replicas": 3}}, "/server/replicas': got number, want object"),
        ({"relay": {"replicas": 0}}, "/relay/replicas': minimum: got 0, want 1"),
        ({"relay": {"replica": 3}}, "additional properties 'replica' not allowed"),
        ({"relay": {"probes": {"startup": {"periodSeconds": 1}}}}, "relay has no startup probe"),
        ({"server": {"pod": {"securityContext": {}}}}, "additional properties 'securityContext' not allowed"),
        ({"server": {"probes": {"liveness": {"httpGet": {}}}}}, "additional properties 'httpGet' not allowed"),
        (
            {"edge": {"resources": {"limits": {"memory": "1GB"}}}},
            "/edge/resources/limits/memory': '1GB' does not match",
        ),
        ({"edge": {"service": {"type": "External"}}}, "must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
        ({"edge": {"ingress": {"enabled": True}}}, "edge.ingress is enabled and has no hosts"),
        ({"networkPolicies": {"database": {"networks": ["db.internal"]}}}, "'db.internal' does not match"),
        ({"networkPolicies": {"queue": {"port": 0}}}, "/networkPolicies/queue/port': minimum: got 0, want 1"),
    ],
    ids=lambda each: "" if isinstance(each, str) else ".".join(next(leaves(each))),
)
def test_wrong_values_are_refused_in_words(values: Mapping[str, Any], words: str) -> None:
    done = helm("template", "shop", CHART, values=values)
    assert done.returncode
    assert words in done.stderr


def test_the_chart_can_be_packed_with_all_it_needs(tmp_path: Path) -> None:
    """It has the manifests of deploy/kubernetes by a link; a package has the files themselves."""
    done = helm("package", CHART, "--destination", tmp_path)
    assert not done.returncode, done.stderr
    assert of_chart(OTHER, tmp_path / f"stockward-{current(ROOT)}.tgz") == of_chart(OTHER)
