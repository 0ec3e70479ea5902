"""The WSGI application that gunicorn serves. The patch comes before every other import: see docs/architecture.md."""

from gevent import monkey

monkey.patch_all()

import logging
import os

from urllib3.util.ssl_ import create_urllib3_context

from app import create_app
from relay.settings import load

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

# Patched too late, every https call would fail with a RecursionError, and plain http would work (gevent#1016).
create_urllib3_context()

app = create_app(load(), os.environ.get("_TALKABOUT_EMBEDDED_URL", ""))
