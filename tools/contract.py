"""Check the contract in `proto/` and generate code from it, offline: `python tools/contract.py COMMAND`.

Every command first compiles the contract into one image: a FileDescriptorSet of our files, of all that they
import and of google/rpc/error_details.proto, comments included. The imports come from installed packages:
Google's files from googleapis-common-protos, the validation rules from protovalidate, which carries them as a
descriptor only.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from typing import Never

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
GENERATED = ROOT / "generated"
PYTHON_CLIENT = ROOT / "clients" / "python" / "stockward_client"
IMAGE = ROOT / ".build" / "stockward.binpb"
PACKAGES = Path(annotations_pb2.__file__).parents[2]  # holds google/api/*.proto
SCRIPTS = Path(sysconfig.get_path("scripts"))
VALIDATE = "buf/validate/validate.proto"


def main() -> None:
    """Run the command named on the command line."""
    parser = argparse.ArgumentParser(description="Check the contract and generate code from it.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("image", help="compile the contract into .build/stockward.binpb")
    commands.add_parser("generate", help="write generated/ and the generated modules of the Python client")
    commands.add_parser("lint", help="check names, comments and layout")
    breaking = commands.add_parser("breaking", help="check that callers of an earlier contract still work")
    breaking.add_argument("--against", metavar="REF", help="a git commit; default: the tag of the newest release")
    arguments = parser.parse_args()

    compile_image(PROTO, IMAGE)
    match arguments.command:
        case "image":
            print(f"{IMAGE.relative_to(ROOT)}: {IMAGE.stat().st_size:,} bytes")
        case "generate":
            generate_python()
            generate_openapi()
            generate_python_client()
            generate_typescript()
        case "lint":
            run(SCRIPTS / "buf", "lint", IMAGE, "--config", "buf.yaml")
            run(SCRIPTS / "buf", "format", "--diff", "--exit-code")
            print("The contract keeps its rules.")
        case "breaking":
            check_breaking(arguments.against or baseline())


def compile_image(proto: Path, image: Path) -> None:
    """Compile every .proto file under `proto` into the FileDescriptorSet `image`."""
    image.parent.mkdir(parents=True, exist_ok=True)
    rules = image.with_name("validate.binpb")
    rules.write_bytes(validation_rules().SerializeToString(deterministic=True))
    protoc(
        f"--descriptor_set_in={rules}",
        f"--proto_path={proto}",
        f"--proto_path={PACKAGES}",
        f"--descriptor_set_out={image}",
        "--include_imports",
        "--include_source_info",
        *sorted(path.relative_to(proto).as_posix() for path in proto.rglob("*.proto")),
        "google/rpc/error_details.proto",
    )


def validation_rules() -> descriptor_pb2.FileDescriptorSet:
    """buf/validate/validate.proto with its imports, dependencies first."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        files.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return files


def generate_python() -> None:
    """Write messages, services and their types; only files with a service get a `_pb2_grpc` module."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(IMAGE.read_bytes())
    ours = [file for file in contract.file if file.name.startswith("stockward/")]
    messages = [file.name for file in ours] + [VALIDATE]
    services = [file.name for file in ours if file.service]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "python"
        out.mkdir()
        image = f"--descriptor_set_in={IMAGE}"
        protoc(image, f"--python_out={out}", f"--mypy_out=quiet:{out}", *messages)
        protoc(image, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services)
        # `buf` stays a namespace package: another distribution may bring modules of that name, too.
        for package in {parent for path in (out / "stockward").rglob("*.py") for parent in path.parents}:
            if package.is_relative_to(out / "stockward"):
                (package / "__init__.py").touch()
        (out / "stockward" / "py.typed").touch()
        for name in ("buf", "stockward"):  # beside them is what makes them a distribution
            replace(GENERATED / "python" / name, out / name)


def generate_openapi() -> None:
    """Write the description of the REST routes, which ships with the generated Python code."""
    from stockward_server.edge.openapi import openapi  # only now: it reads options by the code just generated

    file = GENERATED / "python" / "stockward" / "openapi.json"
    document = openapi(descriptor_pb2.FileDescriptorSet.FromString(IMAGE.read_bytes()))
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(document['paths'])} paths")


def generate_python_client() -> None:
    """Write the client's typed methods and exceptions."""
    run(sys.executable, ROOT / "tools" / "python_client.py", IMAGE, PYTHON_CLIENT)


def generate_typescript() -> None:
    """Write the TypeScript code, imports included; without Node.js it is left as it is."""
    if not shutil.which("npm"):
        if os.environ.get("CI") == "true":
            stop("npm was not found, and CI must check the TypeScript code, too.")
        print("generated/typescript: left as it is, for want of npm; install Node.js 20 or newer.")
        return
    tools = ROOT / "tools"
    wanted, installed = tools / "package-lock.json", tools / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        print("Installing the TypeScript generator ...", flush=True)
        run("npm", "ci", "--silent", "--prefix", tools)
    with tempfile.TemporaryDirectory() as folder:
        # The well-known types come with the TypeScript runtime.
        skip = ("--exclude-path", "google/protobuf")
        run(SCRIPTS / "buf", "generate", IMAGE, "--template", "buf.gen.yaml", "--output", folder, *skip)
        replace(GENERATED / "typescript", Path(folder) / "generated" / "typescript")


def replace(target: Path, fresh: Path) -> None:
    """Put the folder `fresh` in place of `target`, so that nothing stale stays behind."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(fresh, target)
    print(f"{target.relative_to(ROOT)}: {sum(path.is_file() for path in target.rglob('*'))} files")


def check_breaking(against: str | None) -> None:
    """Compares with the contract in the git commit `against`, as buf.yaml's breaking rules say."""
    if against is None:
        print("There is no release yet (no tag such as v1.0.0), so there is nothing to break.")
        return
    if not is_commit(against):
        stop(f"{against} is no commit of this repository.")
    archive = git("archive", "--format=zip", against, "proto")
    if archive.returncode != 0:
        print(f"{against} holds no contract, so there is nothing to break.")
        return
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(io.BytesIO(archive.stdout)).extractall(folder)
        earlier = Path(folder) / "earlier.binpb"
        compile_image(Path(folder) / "proto", earlier)
        run(SCRIPTS / "buf", "breaking", IMAGE, "--against", earlier, "--config", "buf.yaml")
    print(f"The contract breaks nothing of {against}.")


def baseline() -> str | None:
    """Returns the tag of the newest release in the history of HEAD; None before the first one.

    Until the first release the contract may still change: only a tag freezes it.
    """
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    return tag.stdout.decode().strip() if tag.returncode == 0 else None


def is_commit(reference: str) -> bool:
    """Whether git knows a commit by that name."""
    return git("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}").returncode == 0


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Ask git; the caller judges the answer."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)


def protoc(*arguments: str) -> None:
    """Run protoc with the plugins of this environment."""
    plugins = (f"--plugin={name}={SCRIPTS / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc"))
    run(sys.executable, "-m", "grpc_tools.protoc", *plugins, *arguments)


def run(*command: str | Path) -> None:
    """Run a command from the checkout's root; when it fails, end with its code: it has said why."""
    code = subprocess.run(command, cwd=ROOT).returncode
    if code != 0:
        sys.exit(code)


def stop(message: str) -> Never:
    """Say what is wrong, and fail."""
    sys.exit(message)


if __name__ == "__main__":
    main()
