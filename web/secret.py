"""The key that signs cookies."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept_secret(data_dir: Path) -> str:
    """Read the key; the first worker that comes makes it, for all of them."""
    path = data_dir / "secret_key"
    if not path.exists():
        mine = data_dir / f"secret_key.{os.getpid()}"
        mine.touch(mode=0o600)
        mine.write_text(secrets.token_hex(32), encoding="ascii")
        try:
            os.link(mine, path)  # atomic, and fails if another worker was faster
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text(encoding="ascii")
