"""What is applied to Kubernetes: the manifests of deploy/kubernetes, and those that the chart renders from them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from tests.deploy.test_deploy import DEPLOY
from tools.helm import NoHelm, installed

CHART = DEPLOY / "helm"

OTHER: Mapping[str, Any] = {
    "image": {
        "repository": "images.internal:5000/shops/stockward",
        "digest": "sha256:" + "5a" * 32,
        "tag": "mine",
        "pullPolicy": "Always",
        "pullSecrets": ["registry"],
    },
    "settings": {"STOCKWARD_SHUTDOWN_GRACE_SECONDS": "60", "STOCKWARD_POOL_SIZE": "20"},
    "secrets": {name: f"shop-{name}" for name in ("migrate", "server", "relay", "gateway")},
    "databaseRoots": "shop-roots",
    "migrate": {"backoffLimit": 3, "resources": {"limits": {"memory": "1Gi"}}, "pod": {"priorityClassName": "high"}},
    "server": {
        "replicas": {"min": 3, "max": 12},
        "resources": {"requests": {"cpu": "2"}},
        "probes": {"startup": {"failureThreshold": 90}, "readiness": {"timeoutSeconds": 4}},
        "pod": {"nodeSelector": {"pool": "shop"}, "annotations": {"team": "shop"}},
    },
    "relay": {
        "replicas": 3,
        "resources": {"limits": {"memory": "768Mi"}},
        "probes": {"liveness": {"periodSeconds": 20}},
        "pod": {"tolerations": [{"key": "shop", "operator": "Exists"}]},
    },
    "gateway": {
        "replicas": 4,
        "resources": {"requests": {"memory": "256Mi"}},
        "probes": {"readiness": {"periodSeconds": 10}},
        "pod": {"topologySpreadConstraints": []},
    },
    "edge": {
        "replicas": {"min": 4, "max": 4},
        "resources": {"limits": {"memory": "1Gi"}},
        "probes": {"readiness": {"failureThreshold": 3}},
        "pod": {"labels": {"tier": "edge"}},
        "service": {"type": "LoadBalancer", "annotations": {"balancer": "internal"}},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"issuer": "internal"},
            "hosts": ["shop.example", "*.shop.example"],
            "tlsSecret": "shop-certificate",
        },
    },
    "networkPolicies": {
        "database": {"networks": ["10.20.0.0/16"]},
        "queue": {"networks": ["10.30.0.1/32", "fd00:30::/64"]},
        "receivers": ["10.40.0.0/16"],
        "callers": ["ingress-nginx"],
        "monitoring": "prometheus",
        "furtherEgress": [{"ports": [{"port": 4317}], "to": [{"ipBlock": {"cidr": "10.50.0.1/32"}}]}],
    },
}
"""Values of the chart that differ from its own in nearly everything that may differ."""


@dataclass(frozen=True)
class Manifests:
    """All that is applied in one go."""

    each: Sequence[dict[str, Any]]
    values: Mapping[str, Any] | None = None
    """What the chart was given; None: it is not the chart's."""

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        found = [each for each in self.each if each["kind"] in kinds]
        assert found
        return found

    def workloads(self) -> list[dict[str, Any]]:
        return self.of_kind("Deployment", "Job")

    def named(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = (each for each in self.of_kind(kind) if each["metadata"]["name"] == name)
        return found

    def secret(self, workload: str) -> str:
        """The Secret that a workload is to have."""
        name: str = (self.values or {}).get("secrets", {}).get(workload, f"stockward-{workload}")
        return name

    @property
    def roots(self) -> str:
        """The ConfigMap with the roots of the database's certificate."""
        name: str = (self.values or {}).get("databaseRoots", "stockward-database-roots")
        return name


def name_of(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def containers(workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def of_kubernetes() -> Manifests:
    """Those for kustomize, without what it adds."""
    return Manifests(
        [
            document
            for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
            if file.name != "kustomization.yaml"
            for document in yaml.safe_load_all(file.read_text())
        ]
    )


def helm(*command: str | Path, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs helm, with these values where it takes some; skips the test where there is none."""
    try:
        program = installed()
    except NoHelm as error:
        pytest.skip(f"no helm: {error}")
    with TemporaryDirectory() as folder:
        options: list[str | Path] = []
        if values is not None:
            file = Path(folder) / "values.yaml"
            file.write_text(yaml.safe_dump(dict(values)))
            options = ["--values", file]
        home = {f"HELM_{part}_HOME": f"{folder}/{part.lower()}" for part in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run([program, *command, *options], capture_output=True, text=True, env=home)


def of_chart(values: Mapping[str, Any], chart: Path = CHART) -> Manifests:
    """What the chart makes of these values; skips the test where there is no helm."""
    done = helm("template", "shop", chart, "--namespace", "stockward", values=values)
    assert not done.returncode, done.stderr
    return Manifests([each for each in yaml.safe_load_all(done.stdout) if each], values)
