# The front door. `make run` shows Keystead at work; `make test` proves it. Everything else is a part of those.
BUILD := build
JOBS  := -j2
.PHONY: deps build check test run demo lint asan tsan fuzz bench clean
