"""The manifests of deploy/kubernetes, and those of the chart with its own values and with others: they fit the program.

The chart is to give what the manifests give, so each test is held against both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from stockward_server.config import variable, variables
from tests.cli_tree import problem_of
from tests.deploy.manifests import OTHER, Manifests, containers, name_of, of_chart, of_kubernetes
from tests.deploy.test_deploy import (
    DEPLOY,
    EDGE_NOTICE,
    FINAL,
    SECRET,
    SECRETS,
    USES,
    WEBHOOKS,
    settings_of,
    stockward_calls,
)

KUBERNETES = "1.34"
"""The oldest release that the manifests are held against."""

SOURCES: Mapping[str, Callable[[], Manifests]] = {
    "kubernetes": of_kubernetes,
    "helm": lambda: of_chart({}),
    "helm, other values": lambda: of_chart(OTHER),
}


@pytest.fixture(scope="module", params=SOURCES)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return SOURCES[request.param]()


def test_kubernetes_takes_them(manifests: Manifests) -> None:
    import kubernetes_validate  # type: ignore[import-untyped]  # it takes seconds: not for those who run other tests

    for manifest in manifests.each:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    names = [name_of(each) for each in manifests.each]
    assert len(names) == len(set(names))


def test_every_manifest_is_applied() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    there = {file.name for file in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there


def test_what_a_pod_runs_exists_and_has_no_more_rights_than_it_needs(manifests: Manifests) -> None:
    assert {each["metadata"]["name"] for each in manifests.workloads()} == set(USES)
    for workload in manifests.workloads():
        check_rights(workload)


def check_rights(workload: Mapping[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in FINAL
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in containers(workload):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        for call in stockward_calls([*container.get("command", ["stockward"]), *container["args"]]):
            assert not problem_of(call)


def test_the_settings_are_known_and_agree(manifests: Manifests, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = manifests.named("ConfigMap", "stockward")
    assert set(configuration["data"]) <= set(variables())
    settings = settings_of(monkeypatch, {**configuration["data"], **SECRETS})
    for workload in manifests.of_kind("Deployment"):
        seconds = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        name = workload["metadata"]["name"]
        needed = {
            "server": settings.stop_seconds,
            "gateway": settings.stop_seconds,
            "relay": settings.stop_seconds,
            "edge": EDGE_NOTICE + 5,
        }[name]
        assert seconds >= needed, f"{name} may be killed before it has drained"


def test_each_container_has_the_secrets_that_it_uses_and_no_others(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = manifests.named("ConfigMap", "stockward")
    assert not set(configuration["data"]) & {variable(field) for field in SECRET}
    kept: dict[str, set[str]] = {}
    comment = (DEPLOY / "kubernetes" / "configuration.yaml").read_text().replace("\\\n#", "")
    for line in re.findall(r"^#   new (stockward-.*)$", comment, re.MULTILINE):
        kept[line.split()[0].removeprefix("stockward-")] = set(re.findall(r"--from-literal=(\w+)=", line))
    for workload in manifests.workloads():
        name = workload["metadata"]["name"]
        use = USES[name]
        for container in containers(workload):
            sources = [each["secretRef"]["name"] for each in container.get("envFrom", ()) if "secretRef" in each]
            assert "env" not in container
            assert sources == ([manifests.secret(name)] if name in kept else []), name
            given = kept.get(name, set())
            assert given == {variable(field) for field in (*use.services, *WEBHOOKS.get(name, ()))}, name
            assert ("EVENT_QUEUE_URL" in given) == (f"EVENT_QUEUE_URL=nats://{name}:" in comment)
            settings_of(monkeypatch, {**configuration["data"], **{key: SECRETS[key] for key in given}}, use)


def test_the_roots_of_the_database_are_where_the_address_says(manifests: Manifests) -> None:
    comment = (DEPLOY / "kubernetes" / "configuration.yaml").read_text()
    (file,) = re.findall(r"sslmode=verify-full&sslrootcert=([\w./-]+)", comment)
    for workload in manifests.workloads():
        mounts = {mount["name"]: mount for each in containers(workload) for mount in each.get("volumeMounts", ())}
        if "database_url" in USES[workload["metadata"]["name"]].services:
            (volume,) = workload["spec"]["template"]["spec"]["volumes"]
            assert volume["configMap"]["name"] == manifests.roots
            assert f"create configmap stockward-database-roots --from-file={Path(file).name}" in comment
            assert mounts[volume["name"]] == {
                "name": volume["name"],
                "mountPath": str(Path(file).parent),
                "readOnly": True,
            }


def test_the_edge_goes_on_until_nobody_sends_it_anything_new(manifests: Manifests) -> None:
    (container,) = manifests.named("Deployment", "edge")["spec"]["template"]["spec"]["containers"]
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": EDGE_NOTICE}}


def test_ports_probes_and_selectors_meet(manifests: Manifests, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(monkeypatch, SECRETS)
    addresses = {
        "server": [settings.grpc_address, settings.server_admin_address],
        "relay": [settings.relay_admin_address],
        "gateway": [settings.gateway_address],
        "edge": [settings.edge_address],
        "migrate": [],
    }
    ports: dict[str, dict[str, int]] = {}
    for workload in manifests.workloads():
        name = workload["metadata"]["name"]
        labels = {"app.kubernetes.io/name": name}
        assert workload["spec"]["template"]["metadata"]["labels"].items() >= labels.items()
        if workload["kind"] == "Deployment":
            assert workload["spec"]["selector"]["matchLabels"] == labels
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        ports[name] = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        assert list(ports[name].values()) == [int(address.rpartition(":")[2]) for address in addresses[name]]
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            for how in ("grpc", "tcpSocket", "httpGet"):
                port = container.get(kind, {}).get(how, {}).get("port")
                assert port is None or port in (*ports[name], *ports[name].values()), f"{kind} of {name}"
        assert bool(ports[name]) == ("readinessProbe" in container)
    for service in manifests.of_kind("Service"):
        name = service["spec"]["selector"]["app.kubernetes.io/name"]
        assert all(port["targetPort"] in ports[name] for port in service["spec"]["ports"])
    for policy in manifests.of_kind("NetworkPolicy"):
        spec = policy["spec"]
        for rule in spec.get("ingress", ()):
            labels = spec["podSelector"].get("matchLabels", {})
            chosen = spec["podSelector"].get("matchExpressions", [{"values": list(labels.values())}])[0]["values"]
            assert all(port["port"] in ports[name] for port in rule["ports"] for name in chosen)
    for other in manifests.of_kind("PodDisruptionBudget"):
        assert other["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in ports
    for scaler in manifests.of_kind("HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in ports


def chosen_by(policy: Mapping[str, Any]) -> set[str]:
    """The workloads whose pods a policy is about."""
    selector, everybody = policy["spec"]["podSelector"], set(USES)
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    chosen = set(selector.get("matchLabels", {}).values()) | {name for each in expressions for name in each["values"]}
    assert chosen <= everybody
    return chosen or everybody


def test_each_pod_talks_to_what_it_uses_and_to_nothing_else(manifests: Manifests) -> None:
    reached: dict[str, set[object]] = {each["metadata"]["name"]: set() for each in manifests.workloads()}
    for policy in manifests.of_kind("NetworkPolicy"):
        if policy["spec"].get("policyTypes", ["Ingress"]) == ["Ingress"]:
            continue
        assert policy["spec"]["policyTypes"] == ["Egress"]
        for rule in policy["spec"]["egress"]:
            targets = {
                "".join(to["podSelector"]["matchLabels"].values()) for to in rule.get("to", ()) if "podSelector" in to
            }
            if "ports" not in rule:
                targets.add("the Internet")
            for name in chosen_by(policy):
                reached[name] |= targets or {port["port"] for port in rule["ports"]}
    ports = {"database_url": 5432, "event_queue_url": 4222}
    beside: dict[str, set[object]] = {"edge": {"server"}, "gateway": {"the Internet"}}
    for rule in (manifests.values or {}).get("networkPolicies", {}).get("furtherEgress", ()):
        for name in ("server", "relay", "gateway"):
            beside.setdefault(name, set()).update(port["port"] for port in rule["ports"])
    assert reached == {
        name: {53, *(ports[field] for field in use.services), *beside.get(name, ())} for name, use in USES.items()
    }


def test_the_gateway_has_no_way_to_addresses_that_are_not_public(manifests: Manifests) -> None:
    (rule,) = manifests.named("NetworkPolicy", "to-receivers")["spec"]["egress"]
    blocks = [to["ipBlock"] for to in rule["to"]]
    own = (manifests.values or {}).get("networkPolicies", {}).get("receivers", [])
    assert [each["cidr"] for each in blocks] == ["0.0.0.0/0", "::/0", *own]
    left_out = [ip_network(each) for block in blocks[:2] for each in block["except"]]
    for address in map(ip_address, ("169.254.169.254", "10.1.2.3", "127.0.0.1", "192.168.1.1", "::1", "fd00::1")):
        assert any(address in network for network in left_out if network.version == address.version), address
    assert not any(ip_address("93.184.216.34") in network for network in left_out if network.version == 4)


def test_every_deployment_survives_the_loss_of_a_node(manifests: Manifests) -> None:
    names = {each["metadata"]["name"] for each in manifests.of_kind("Deployment")}
    assert {each["metadata"]["name"] for each in manifests.of_kind("PodDisruptionBudget")} == names
    scaled = {each["metadata"]["name"] for each in manifests.of_kind("HorizontalPodAutoscaler")}
    for deployment in manifests.of_kind("Deployment"):
        replicas = deployment["spec"].get("replicas")
        assert (replicas is None) == (deployment["metadata"]["name"] in scaled), "a scaler's number is its own"
        assert replicas is None or replicas >= 2
    edge = manifests.named("Deployment", "edge")
    pause = containers(edge)[-1]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause < edge["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
