# What one does here. `make run` and `make test` need nothing but Rust, Go, Node, Python, gcc and
# apt; whatever else a target needs, it installs. Targets stay at twelve, each at three lines.
.PHONY: run test build check tools bench golden
TOOLS := $(CURDIR)/.tools/bin

run: # the demo: a simulated provider, a router, and a curl to paste
	cargo run --locked -- demo

test: # installs what the tests need, then runs all of them
	./tests/install.sh
	cargo build --locked --workspace
	cargo test --locked --workspace

build: # the release binary: $CARGO_TARGET_DIR/release/serin
	cargo build --locked --release

check: tools # everything about a change that is not a test: format, lints, walls, docs, dependencies
	cargo fmt --all --check && cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --test tidy && RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	PATH="$(TOOLS):$$PATH" .ci/deny

tools: $(TOOLS)/cargo-deny # pinned tools, kept in .tools/

$(TOOLS)/cargo-deny:
	cargo install cargo-deny --version 0.20.2 --locked --root .tools

bench: build # CPU and latency against nginx on this machine: make bench ARGS="--scenario json --seconds 3"
	cargo bench --locked -p serin-tests --bench relay -- $(ARGS)

golden: # rewrites the golden files; read the difference before you commit it
	UPDATE_GOLDEN=1 cargo test --locked -p serin-proto
	git diff --stat -- '*golden*'
