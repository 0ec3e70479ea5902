"""What containers are made of and run with: the Dockerfile, compose files and Kubernetes manifests.

That the image builds and runs, `scripts/try_image.sh` shows.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from relay.settings import Settings, load, unknown
from tests.fronts import program, put
from tests.servers import ROOT, Server, free_port

MANIFESTS = sorted((ROOT / "deploy/kubernetes").iterdir())
COMPOSE = ["compose.yaml", "compose.scaled.yaml"]
LONGEST_DRAIN_S = next(row.metadata["high"] for row in fields(Settings) if row.name == "drain_s")
LONGEST_STOP_S = LONGEST_DRAIN_S + 10 + 5  # the master kills its workers, then the embedded model ends
NOT_IN_THE_IMAGE = {".ci", "bench", "deploy", "docs", "scripts", "tests"}


def resources() -> list[dict[str, Any]]:
    """Read every resource of the manifests."""
    return [resource for path in MANIFESTS for resource in yaml.safe_load_all(path.read_text())]


def resource(kind: str) -> dict[str, Any]:
    """Find the resource of a kind."""
    (found,) = [each for each in resources() if each["kind"] == kind]
    return found


def compose(name: str) -> dict[str, Any]:
    """Read a compose file."""
    read: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return read


def final_stage() -> list[str]:
    """Give the instructions of the Dockerfile's last stage, one a line."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM"))
    return lines[last:]


# --- the image --------------------------------------------------------------------------------------------------------


def test_all_code_of_the_server_reaches_the_image_and_what_is_secret_does_not() -> None:
    listed = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in listed if line.startswith("!")}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    folders = {name.partition("/")[0] for name in tracked if "/" in name} - NOT_IN_THE_IMAGE
    modules = {name for name in tracked if "/" not in name and name.endswith(".py")}
    assert listed[1] == "*"
    assert folders | modules <= let_through
    assert not {".env", ".git", "data", "tests"} & let_through
    assert all((ROOT / name).exists() for name in let_through)


def test_the_image_runs_as_nobody_and_as_process_one() -> None:
    stage = final_stage()
    assert {"USER 10001:10001", "STOPSIGNAL SIGTERM", "VOLUME /data"} <= set(stage)
    assert json.loads(stage[-1].removeprefix("CMD ")) == ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    (health,) = [line for line in stage if line.startswith("HEALTHCHECK")]
    assert json.loads(health.partition("CMD ")[2]) == ["python", "deploy/healthcheck.py"]


def test_the_health_check_tells_a_server_that_lives_from_none(server: Server) -> None:
    def check(**environ: str) -> tuple[int, str]:
        asked = [sys.executable, str(ROOT / "deploy/healthcheck.py")]
        told = {"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9", **environ}
        done = subprocess.run(asked, env=told, check=False, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stderr

    assert check(HOST="0.0.0.0", PORT=str(server.port)) == (0, "")
    status, said = check(PORT=str(free_port()))
    assert status == 1
    assert said.startswith("unhealthy: ")


# --- compose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_is_one_and_its_servers_may_do_little(name: str) -> None:
    PyCompose.from_yaml((ROOT / name).read_text())
    servers = [service for service in compose(name)["services"].values() if service["image"] == "talkabout"]
    assert len(servers) == (1 if name == COMPOSE[0] else 2)
    for service in servers:
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert int(service["stop_grace_period"].removesuffix("s")) > LONGEST_STOP_S
        assert unknown(service["environment"]) == []


@pytest.mark.parametrize("name", COMPOSE)
def test_what_compose_publishes_is_for_this_machine_alone(name: str) -> None:
    published = [port for service in compose(name)["services"].values() for port in service.get("ports", [])]
    assert len(published) == 1
    assert published[0].startswith("127.0.0.1:")


def test_nginx_takes_the_configuration_that_compose_makes_of_the_shipped_one(tmp_path: Path) -> None:
    script = compose("compose.scaled.yaml")["services"]["nginx"]["command"][2]
    made, _, _ = script.partition("&&")
    (tmp_path / "shipped.conf").write_text((ROOT / "deploy/nginx.conf").read_text())
    here = made.replace("/etc/talkabout/nginx.conf", "shipped.conf").replace("/tmp/nginx.conf", "made.conf")
    subprocess.run(["sh", "-c", here], cwd=tmp_path, check=True)
    # Names of containers are not known here, nor is `resolve` in Debian's nginx, which is older than 1.27.3.
    text = put((tmp_path / "made.conf").read_text(), "listen 8080", f"listen {free_port()}")
    for address in ("app1:8000 resolve", "app2:8000 resolve", " resolver 127.0.0.11 valid=5s;"):
        text = put(text, address, "127.0.0.1:8000" if ":8000" in address else "")
    (tmp_path / "made.conf").write_text(text)
    assert "#server" not in text
    subprocess.run([program("nginx"), "-e", "stderr", "-p", tmp_path, "-c", "made.conf", "-t"], check=True)


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def test_kubernetes_takes_the_manifests() -> None:
    for each in resources():
        kubernetes_validate.validate(each, "1.37", strict=True)


def test_a_pod_has_the_time_that_its_longest_drain_takes() -> None:
    pod = resource("Deployment")["spec"]["template"]["spec"]
    before_it = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > before_it + LONGEST_STOP_S


def test_a_pod_may_do_little_and_none_goes_before_another_has_come() -> None:
    deployment = resource("Deployment")["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in final_stage()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_settings_of_the_pods_exist_and_are_taken() -> None:
    told = {**resource("ConfigMap")["data"], "TALKABOUT_TOKENS": "alice=x"}
    asked_for = (ROOT / "deploy/kubernetes/secret.yaml.example").read_text()
    assert unknown({**told, **yaml.safe_load(asked_for)["stringData"]}) == []
    assert load(told, dotenv=None).drain_s == 5


def test_the_ports_and_paths_of_the_probes_are_the_servers() -> None:
    (container,) = resource("Deployment")["spec"]["template"]["spec"]["containers"]
    assert str(container["ports"][0]["containerPort"]) == resource("ConfigMap")["data"]["PORT"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert re.fullmatch(r"/(healthz|readyz\?upstream=off)", container[probe]["httpGet"]["path"])


def test_the_manifests_select_each_other() -> None:
    labels = resource("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert resource("Service")["spec"]["selector"] == labels
    assert resource("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    (path,) = resource("Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == resource("Service")["metadata"]["name"]
