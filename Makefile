# talkabout: `make run` serves the chat page, `make test` runs every check. Neither needs anything done before.

.PHONY: setup run test faults attack bench lint lock docs clean

setup:
	@scripts/setup.sh server model browser

# gunicorn reads WEB_CONCURRENCY before it reads us, and ends in a traceback where that is empty or no number.
ifeq ($(strip $(WEB_CONCURRENCY)),)
unexport WEB_CONCURRENCY
endif
run: setup
	@case "$$WEB_CONCURRENCY" in *[!0-9]*) .venv/bin/python gunicorn.conf.py;; esac
	@exec .venv/bin/gunicorn -c gunicorn.conf.py wsgi:app

test: setup
	@scripts/setup.sh tests clients machine
	@.venv/bin/python scripts/check.py

# Break what an answer depends on, N times a row, and print what became of the answers: docs/reliability.md.
faults: setup
	@scripts/setup.sh tests machine
	@.venv/bin/python -m tests.faults $(N)

# Attack a server of ours in every way that is listed, and print what held: SECURITY.md.
attack: setup
	@scripts/setup.sh tests machine
	@.venv/bin/python -m tests.attacks

# What a token costs: docs/performance.md. PEERS=all brings more relays beside ours; ONLY="scale flat" asks other questions.
bench:
	@scripts/setup.sh server bench$(if $(filter all,$(PEERS)),_all)
	@.venv/bin/python -m bench $(if $(ONLY),$(ONLY),--plot docs/images/speed.svg) $(if $(PEERS),--peers $(PEERS))

lint: setup
	@scripts/setup.sh tests
	@.venv/bin/python scripts/check.py lint

# Compile the lock files from what stands in the .in files and package.json. Pins that still fit stay as they are.
UV = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
lock: setup
	@scripts/setup.sh tests
	$(UV) requirements.in -o requirements.txt
	$(UV) --no-deps requirements-embedded.in -o requirements-embedded.txt
	$(UV) requirements-traces.in -o requirements-traces.txt
	$(UV) requirements-dev.in -o requirements-dev.txt
	$(UV) tests/clients/requirements.in -o tests/clients/requirements.txt
	$(UV) bench/requirements.in -o bench/requirements.txt
	$(UV) bench/requirements-all.in -o bench/requirements-all.txt
	npm install --package-lock-only --ignore-scripts --silent

docs: setup
	@.venv/bin/python -m relay.settings > docs/settings.md.new && mv docs/settings.md.new docs/settings.md

clean:
	rm -rf .venv .make node_modules static/vendor test-results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
