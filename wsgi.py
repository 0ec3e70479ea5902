"""The WSGI application that gunicorn serves. The patch comes before every other import: see docs/architecture.md."""

from gevent import monkey

monkey.patch_all()

import gc
import json
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

# The master has read them; taken away, since whatever a worker starts would inherit their keys.
upstreams = json.loads(os.environ.pop("_TALKABOUT_UPSTREAMS", "null"))

app = create_app(settings, os.environ.get("_TALKABOUT_EMBEDDED_URL", ""), upstreams)

# psycopg chooses how it waits when it is imported: before the patch, each query would stop all streams of the worker.
waiting = sys.modules.get("psycopg.waiting")
if waiting is not None and waiting.wait.__name__ == "wait_c":
    raise RuntimeError("psycopg was imported before gevent's patch")

# A request makes some 200 objects that count, and leaves next to nothing that only the collector can find. At 700, the
# default, looking took a tenth of a request's time. All streams stand still while it looks: so it looks at few objects
# at once, and as good as never at all of them, which takes half a second where there are 5,000 streams.
gc.set_threshold(5_000, 5, 1_000)
