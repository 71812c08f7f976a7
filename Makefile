# What one does here. `make run` and `make test` need nothing but Rust, Go, Node, Python, gcc and
# apt; whatever else a target needs, it installs. Targets stay at twelve, each at three lines.
.PHONY: run test build check tools bench golden
TOOLS := $(CURDIR)/.tools/bin

run: $(TOOLS)/protox # the demo: a simulated provider, a router, and a curl to paste
	cargo run --locked -- demo

test: tools # installs what the tests need, then runs all of them
	./tests/install.sh
	cargo build --locked --workspace
	cargo test --locked --workspace

build: $(TOOLS)/protox # the release binary: $CARGO_TARGET_DIR/release/serin
	cargo build --locked --release

check: tools # everything about a change that is not a test: format, lints, walls, docs, dependencies
	cargo fmt --all --check && cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --test tidy && RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	PATH="$(TOOLS):$$PATH" .ci/deny

tools: $(TOOLS)/cargo-deny $(TOOLS)/protox $(TOOLS)/etcd $(TOOLS)/prometheus # pinned tools, kept in .tools/

$(TOOLS)/cargo-deny:
	cargo install cargo-deny --version 0.20.2 --locked --root .tools

$(TOOLS)/protox: # serves as protoc for the build script of etcd-client
	cargo install protox --version 0.10.0 --features bin --locked --root .tools

$(TOOLS)/etcd: tools/etcd/go.mod # etcd, etcdctl, etcdutl
	cd tools/etcd && GOFLAGS=-mod=readonly GOBIN="$(TOOLS)" go install tool
	mv "$(TOOLS)/server" "$(TOOLS)/etcd" && touch "$(TOOLS)/etcd"

$(TOOLS)/prometheus: tools/prometheus/go.mod # prometheus, promtool: static, file and http discovery only
	cd tools/prometheus && GOFLAGS=-mod=readonly GOBIN="$(TOOLS)" go install -tags remove_all_sd -ldflags "-X github.com/prometheus/common/version.Version=3.15.0" tool
	touch "$(TOOLS)/prometheus"

bench: build tools # against nginx, and how soon changes are followed: make bench ARGS="--scenario json" FOLLOW="--seconds 60"
	cargo bench --locked -p serin-tests --bench relay -- $(ARGS)
	SERIN_BIN="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/serin" cargo bench --locked -p serin-tests --bench follow -- $(FOLLOW)

golden: # rewrites the golden files; read the difference before you commit it
	UPDATE_GOLDEN=1 cargo test --locked -p serin-proto
	UPDATE_GOLDEN=1 cargo test --locked -p serin-control-plane --test api openapi
	git diff --stat -- '*golden*' docs/openapi.json
