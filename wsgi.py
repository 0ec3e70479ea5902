"""The WSGI application that gunicorn serves. The patch comes before every other import: see docs/architecture.md."""

from gevent import monkey

monkey.patch_all()

import gc
import json
import logging
import os
import sys

from urllib3.util.ssl_ import create_urllib3_context

from app import create_app
from relay.settings import load

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

# Patched too late, every https call would fail with a RecursionError, and plain http would work (gevent#1016).
create_urllib3_context()

# The master has read them; taken away, since whatever a worker starts would inherit their keys.
upstreams = json.loads(os.environ.pop("_TALKABOUT_UPSTREAMS", "null"))

app = create_app(load(), os.environ.get("_TALKABOUT_EMBEDDED_URL", ""), upstreams)

# psycopg chooses how it waits when it is imported: before the patch, each query would stop all streams of the worker.
waiting = sys.modules.get("psycopg.waiting")
if waiting is not None and waiting.wait.__name__ == "wait_c":
    raise RuntimeError("psycopg was imported before gevent's patch")

# A request makes some 80 objects that count. At 700, the default, looking for garbage took a tenth of a request's time.
gc.set_threshold(10_000)
