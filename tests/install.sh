#!/bin/sh
# Installs what the end-to-end tests need beside cargo, into .tools/: the official OpenAI SDKs
# (Python and JavaScript), a real inference engine and schemathesis; and builds a `serin` with
# failpoints. Quick when nothing has changed. `cargo build` comes after it: both are called `serin`.
set -eu
cd "$(dirname "$0")/.."

# A control plane that a test kills at a place it names, beside the plain one.
cargo build --locked --quiet -p serin --features failpoints
target="${CARGO_TARGET_DIR:-target}/debug"
cp "$target/serin" "$target/serin-failpoints.new" && mv "$target/serin-failpoints.new" "$target/serin-failpoints"

node_major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
if [ "$node_major" -ge 22 ]; then sdk=tests/sdk/node-22; else sdk=tests/sdk/node-20; fi

mkdir -p .tools
wanted=$(cat tests/sdk/requirements.txt tests/engine/requirements.txt tests/openapi/requirements.txt "$sdk/package-lock.json" | cksum)
stamp=.tools/tests-installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

echo "installing the SDKs and the engine into .tools/ (once)" >&2
rm -f "$stamp"
python3 -m venv .tools/venv
.tools/venv/bin/pip install --quiet --disable-pip-version-check \
    -r tests/sdk/requirements.txt -r tests/engine/requirements.txt \
    -r tests/openapi/requirements.txt

mkdir -p .tools/node
cp "$sdk/package.json" "$sdk/package-lock.json" .tools/node/
(cd .tools/node && npm ci --silent --no-audit --no-fund)

echo "$wanted" >"$stamp"
