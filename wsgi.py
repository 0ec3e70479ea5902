"""The WSGI application that gunicorn serves. The patch comes before every other import: see docs/architecture.md."""

from gevent import monkey

monkey.patch_all()

import gc
import os
import sys

from urllib3.util.ssl_ import create_urllib3_context

from app import create_app
from relay.settings import load
from web import logs

settings = load()
logs.init(settings)

# Patched too late, every https call would fail with a RecursionError, and plain http would work (gevent#1016).
create_urllib3_context()

app = create_app(settings, os.environ.get("_TALKABOUT_EMBEDDED_URL", ""))

# psycopg chooses how it waits when it is imported: before the patch, each query would stop all streams of the worker.
waiting = sys.modules.get("psycopg.waiting")
if waiting is not None and waiting.wait.__name__ == "wait_c":
    raise RuntimeError("psycopg was imported before gevent's patch")

# A request makes some 80 objects that count. At 700, the default, looking for garbage took a tenth of a request's time.
gc.set_threshold(10_000)
