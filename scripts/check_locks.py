"""Check, without the network, that the lock files say what their sources ask for, and name no registry."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def python_faults(source: Path) -> list[str]:
    """Compare a requirements*.in with the .txt beside it."""
    text = source.with_suffix(".txt").read_text(encoding="utf-8")
    asked = [
        Requirement(line) for line in source.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#", "-")
    ]
    blocks = re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==([^ ;]+)(.*(?:\n[ \t].*)*)", text, re.MULTILINE)
    pins = {canonicalize_name(name): version for name, version, _ in blocks}
    direct = {canonicalize_name(name) for name, _, more in blocks if f"-r {source.relative_to(ROOT)}" in more}
    names = {canonicalize_name(each.name): each for each in asked}
    faults = [f"{each} is not pinned so" for name, each in names.items() if not fits(each, pins.get(name))]
    faults += [f"{name} is no longer asked for" for name in direct - names.keys()]
    faults += [f"{name} has no hash" for name, _, more in blocks if "--hash=sha256:" not in more]
    faults += ["it names an address"] if "://" in text else []
    return [f"{source.with_suffix('.txt').relative_to(ROOT)}: {fault}" for fault in faults]


def fits(asked: Requirement, pinned: str | None) -> bool:
    """Tell if a requirement is pinned to a version that it allows."""
    return pinned is not None and asked.specifier.contains(pinned)


def npm_faults() -> list[str]:
    """Compare package.json with package-lock.json."""
    asked = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    kinds = ("dependencies", "devDependencies")
    faults = [f"its {kind} are not package.json's" for kind in kinds if asked.get(kind) != locked[""].get(kind)]
    faults += [f"{name} names an address" for name, entry in locked.items() if "://" in entry.get("resolved", "")]
    return [f"package-lock.json: {fault}" for fault in faults]


def main() -> int:
    """Print what is out of step; return the exit status."""
    faults = [
        fault
        for folder in (ROOT, ROOT / "bench", ROOT / "tests/clients")
        for source in sorted(folder.glob("requirements*.in"))
        for fault in python_faults(source)
    ] + npm_faults()
    print("\n".join([*faults, "run `make lock`"] if faults else ["the lock files are in step"]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
