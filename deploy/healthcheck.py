"""Tell a container's owner whether the server in it lives: exit status 0, or 1 with what is wrong."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 4.0


def main() -> int:
    """Ask for /healthz where the server listens; from within, by no proxy."""
    host = os.environ.get("HOST", "127.0.0.1")
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    try:
        connection = HTTPConnection(here, int(os.environ.get("PORT") or 8000), timeout=TIMEOUT_S)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"unhealthy: {error}\n")
        return 1
    if status != 200:
        sys.stderr.write(f"unhealthy: /healthz answered {status}\n")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main())
