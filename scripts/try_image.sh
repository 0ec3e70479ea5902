#!/bin/sh
# Build the Dockerfile and run the image as compose.yaml does, on a Debian machine that can reach PyPI and npm, but no
# registry of images: what stands in for the base images is made of Debian's packages. It needs root, and
#   apt-get install podman mmdebstrap
set -eu
cd "$(dirname "$0")/.."

say() { echo "try_image: $*" >&2; }
fail() { say "FAILED: $*"; exit 1; }
for program in podman mmdebstrap node curl; do
    command -v "$program" >/dev/null || fail "$program is missing"
done

python=3.11  # Debian's
node=here
work=$(mktemp -d)
port=${PORT:-18000}
url=http://127.0.0.1:$port
running=
inner() { cat "/proc/$running/task/$running/children"; }
leave() {
    # shellcheck disable=SC2046 - one process, or none
    [ -z "$running" ] || kill -KILL $(inner 2>/dev/null) 2>/dev/null || true
    podman image unmount talkabout >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap leave EXIT

# A registry or an authority that this machine is told of is known in the stand-ins too, and so only where it builds.
base() {
    podman image exists "docker.io/library/python:$python-slim" && return
    say "making what stands in for the base images"
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates,libatomic1 \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/base.tar"
    podman import -q "$work/base.tar" talkabout-base >/dev/null
    mkdir -p "$work/base/npm"
    cp "$(command -v node)" "$work/base/node"
    cp -r "$(npm root -g)/npm/." "$work/base/npm"
    cp /etc/ssl/certs/ca-certificates.crt "$work/base/authorities.crt"
    cat > "$work/base/Dockerfile" <<END
FROM talkabout-base
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PIP_CERT=/etc/authorities.crt NODE_EXTRA_CA_CERTS=/etc/authorities.crt npm_config_registry=$(npm config get registry 2>/dev/null)
COPY authorities.crt /etc/authorities.crt
RUN ln -s /usr/bin/python3 /usr/local/bin/python
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
END
    podman build -q --isolation chroot -t "docker.io/library/python:$python-slim" "$work/base" >/dev/null
    podman tag "docker.io/library/python:$python-slim" "docker.io/library/node:$node-slim"
}

base
say "building the image"
podman build --isolation chroot --network host --pull=never --format docker \
    --build-arg PYTHON=$python --build-arg NODE=$node -t talkabout .

# What a container's runtime would do, by hand, since one needs more of a machine than building does.
root=$(podman image mount talkabout)
data=$work/data
cp -a "$root/data" "$data"
environ=$(podman image inspect -f '{{range .Config.Env}}{{println .}}{{end}}' talkabout)
says() { [ "$(podman image inspect -f "{{json .Config.$1}}" talkabout)" = "$2" ] || fail "the image says another $1"; }
says Cmd '["gunicorn","-c","gunicorn.conf.py","wsgi:app"]'
says User '"10001:10001"'
says WorkingDir '"/app"'
says StopSignal '"SIGTERM"'

# Run a command as process 1, as the image says and compose.yaml adds: its user and environment, without any right, and
# nothing to write in but /data and /tmp.
cat > "$work/inside" <<END
#!/bin/sh
exec env -i $(echo "$environ" | tr '\n' ' ') PORT=$port HOST=127.0.0.1 unshare --mount --pid --fork --kill-child sh -c '
    root=$root
    mount --bind \$root \$root && mount -o remount,bind,ro \$root && mount -t tmpfs tmpfs \$root/tmp &&
    mount --bind $data \$root/data && mount -t proc proc \$root/proc && mount --rbind /dev \$root/dev || exit 125
    exec setpriv --no-new-privs /usr/sbin/chroot --userspec=10001:10001 --groups= \$root sh -c "cd /app && exec \"\\\$@\"" sh "\$@"
' sh "\$@"
END
chmod +x "$work/inside"
inside() { "$work/inside" "$@"; }

begin() {
    "$work/inside" gunicorn -c gunicorn.conf.py wsgi:app > "$work/log" 2>&1 &
    running=$!
    for _ in $(seq 150); do
        inside python deploy/healthcheck.py 2>/dev/null && return
        sleep 0.2
    done
    cat "$work/log"
    fail "it is not healthy"
}

end() {
    # shellcheck disable=SC2046 - one process
    kill -TERM $(inner)
    wait "$running"
}

must() { say "it $1"; shift; "$@" || fail "it does not"; }
must_not() { say "it does not $1"; shift; ! "$@" >/dev/null 2>&1 || fail "it does"; }

must "runs as a user who is nobody" [ "$(inside id -u)" = 10001 ]
must "has no rights" [ "$(inside sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)" = 0000000000000000 ]
for place in /app /venv /var /data/..; do must_not "write in $place" inside sh -c "echo x > $place/x"; done
must "writes in /data" inside sh -c 'echo x > /data/x && rm /data/x'
for tool in pip gcc make npm; do must_not "find $tool" inside sh -c "command -v $tool | grep -v ^/usr/local/bin/npm"; done
must_not "hold what the project is made with" inside sh -c 'ls -d tests .git .env docs scripts node_modules | grep .'
must_not "call itself healthy before it runs" inside python deploy/healthcheck.py
begin
must "serves the page and its modules" curl -fsS -o "$work/page" "$url/" -o "$work/module" "$url/static/vendor/marked/marked.js"
must "answers by its own model" sh -c "
    curl -fsSN --max-time 180 --retry 60 --retry-all-errors --retry-delay 1 -H 'Content-Type: application/json' \
        -H 'Accept: text/event-stream' -d '{\"prompt\": \"Say hello.\"}' $url/api/answers > $work/answer && grep -q '\"state\":\"complete\"' $work/answer"
must "ends well when it is told to" end
begin
must "finds its conversations again in the next container" sh -c "curl -fsS $url/api/conversations | grep -q 'Say hello'"
must "ends well once more" end
say "everything holds; $(du -sm --exclude=usr "$root/venv" "$root/app" | awk '{sum += $1} END {print sum}') MB beside the base image"
