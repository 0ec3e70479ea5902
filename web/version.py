"""Which version of the server this is."""

from __future__ import annotations

import tomllib
from pathlib import Path

_ABOUT = Path(__file__).parent.parent / "pyproject.toml"


def version() -> str:
    """Tell which version runs, where the file that says so is there."""
    about = tomllib.loads(_ABOUT.read_text(encoding="utf-8")) if _ABOUT.exists() else {}
    return str(about.get("project", {}).get("version", "unknown"))
