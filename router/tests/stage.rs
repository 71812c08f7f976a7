//! A router on port 0, a simulated provider beside it, and ways to look at both.
//!
//! Documents come from a file's text, or from any store ([`Stage::following`]). The provider `sim` is the simulator, `gone` an address where nobody listens. Documents are
//! replaced live by [`Stage::apply`]. When a stage goes, nothing may have panicked and nothing that
//! is no HTTP may have reached the provider: every test asserts that without saying so.

use std::{
    fs, io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    thread,
};

use ring::digest::{SHA256, digest};
use serde_json::Value;
use serin_proto::unit::Revision;
use serin_router::settings::{Auth, Drain};
use serin_simulator::{Ended, Received, Script, Simulator};
use serin_store::{
    Feed, Follower, Listing, file,
    watch::{self, Event},
};
use socket2::{Domain, Socket, Type};

pub(crate) use crate::running::BODY_BYTES_MAX;
use crate::{
    client::{Answer, Connection, Request, SECRET},
    running::{Options, Running, loopback},
    scrape::Scrape,
    wait::eventually,
};

/// What differs from stage to stage.
pub(crate) struct Setup {
    /// Lines of the `routes:` list.
    pub(crate) routes: String,
    /// Further lines of `providers:` and `keys:`.
    pub(crate) providers: String,
    pub(crate) keys: String,
    pub(crate) auth: Auth,
    pub(crate) drain: Drain,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            routes: String::new(),
            providers: String::new(),
            keys: String::new(),
            auth: Options::default().auth,
            drain: Options::default().drain,
        }
    }
}

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) traffic: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) router: Running,
    /// What takes the documents, where it is no store.
    feed: Option<Feed>,
    listing: Mutex<Listing>,
    providers: String,
    keys: String,
    /// Bound and not listening: whoever connects is refused, and nobody else gets the port.
    _gone: Socket,
}

impl Stage {
    pub(crate) fn new(script: &str, routes: &str) -> Self {
        Self::with(
            script,
            Setup {
                routes: routes.to_owned(),
                ..Setup::default()
            },
        )
    }

    pub(crate) fn with(script: &str, setup: Setup) -> Self {
        let (feed, watch) = watch::channel();
        let options = Options {
            auth: setup.auth,
            drain: setup.drain,
            ..Options::default()
        };
        let mut stage = Self::following(script, options, Follower::of_stream(watch));
        let sim = stage.simulator.addr().to_string();
        stage
            .providers
            .push_str(&setup.providers.replace("{sim}", &sim));
        stage.keys.push_str(&setup.keys);
        let text = documents(&stage.providers, &stage.keys, &setup.routes);
        let listing = listing(&text, 1, None);
        assert!(
            feed.send_blocking(Event::Reset(listing.clone())),
            "the router follows"
        );
        stage.listing = Mutex::new(listing);
        stage.feed = Some(feed);
        stage.is_ready();
        stage
    }

    /// A router that follows what the test gives it. The test has to wait until it is ready.
    pub(crate) fn following(script: &str, options: Options, follower: Follower) -> Self {
        // The line before it makes it YAML, which a first `{` would not be.
        let script = Script::parse(&format!("---\n{script}"));
        let script = script.unwrap_or_else(|error| panic!("script: {error}"));
        let simulator = Simulator::spawn_thread(loopback(), script).expect("a working loopback");
        let (gone, nobody) = closed_port();
        let providers = format!(
            "  - {{name: sim, dialect: openai, baseUrl: \"{}\"}}\n  \
               - {{name: gone, dialect: openai, baseUrl: \"http://{nobody}/v1\"}}\n",
            simulator.base_url(),
        );
        let keys = key("app", SECRET, "\"*\"");
        let listing = listing(&documents(&providers, &keys, ""), 1, None);
        let router = Running::start(options, follower);
        Self {
            simulator,
            traffic: router.traffic,
            admin: router.admin,
            router,
            feed: None,
            listing: Mutex::new(listing),
            providers,
            keys,
            _gone: gone,
        }
    }

    /// Stops the router, waits for its end, and starts another one beside the same provider.
    pub(crate) fn restart(&mut self, options: Options, follower: Follower) {
        self.stop();
        self.ended().expect("a clean end");
        self.router = Running::start(options, follower);
        (self.traffic, self.admin) = (self.router.traffic, self.router.admin);
    }

    /// Waits until it is.
    pub(crate) fn is_ready(&self) {
        let status = || self.admin("/readyz").status;
        eventually("ready", status, |status| *status == 200);
    }

    /// The providers and the key that every stage has, and these routes, as they are listed.
    pub(crate) fn listed(&self, routes: &str) -> Listing {
        listing(&documents(&self.providers, &self.keys, routes), 1, None)
    }

    /// Sends an event of the source, where that is no store.
    fn feed(&self, event: Event) {
        let feed = self.feed.as_ref().expect("documents of a file");
        assert!(feed.send_blocking(event), "the router follows");
    }

    /// One request over a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        let answer = self.begin(request).answer();
        answer.unwrap_or_else(|error| panic!("no answer: {error}\n{request:?}"))
    }

    pub(crate) fn begin(&self, request: &Request) -> Connection {
        Connection::begin(self.traffic, request)
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        Connection::begin(self.admin, &Request::get(path))
            .answer()
            .expect("the admin port answers")
    }

    pub(crate) fn scrape(&self) -> Scrape {
        Scrape::read(&self.admin("/metrics").text())
    }

    /// Waits until attempts on `route` are counted so, and none otherwise.
    pub(crate) fn counts(&self, route: &str, attempts: &[&str]) {
        let promise = format!("attempts on {route} are {attempts:?}");
        eventually(
            &promise,
            || self.scrape().attempts(route),
            |seen| seen == attempts,
        );
    }

    /// Requests that the provider has got for a model, running ones included.
    pub(crate) fn received(&self, model: &str) -> Vec<Received> {
        let mut requests = self.simulator.journal().requests();
        requests.retain(|request| request.model.as_deref() == Some(model));
        requests
    }

    /// Replaces the routes and waits until they serve.
    pub(crate) fn apply(&self, routes: &str) -> u64 {
        let revision = self.send(routes);
        let gauge = || self.scrape().sum("serin_config_revision", &[]);
        eventually("the new documents serve", gauge, |seen| {
            *seen >= revision as f64
        });
        revision
    }

    /// Other words in the `providers:` list, from the next documents on.
    pub(crate) fn rewrite_providers(&mut self, from: &str, to: &str) {
        assert!(
            self.providers.contains(from),
            "no {from} in {}",
            self.providers
        );
        self.providers = self.providers.replace(from, to);
    }

    /// Replaces the routes.
    pub(crate) fn send(&self, routes: &str) -> u64 {
        let mut known = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = known.revision.0 + 1;
        let text = documents(&self.providers, &self.keys, routes);
        *known = listing(&text, revision, Some(&known));
        self.feed(Event::Reset(known.clone()));
        revision
    }

    /// Any other event of the store.
    pub(crate) fn tell(&self, event: Event) {
        self.feed(event);
    }

    /// The access lines written so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = self.log_text();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        // The last one may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(parse).collect()
    }

    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.router.log.path()).expect("a readable log")
    }

    /// Waits until the router counts nothing as in flight.
    pub(crate) fn at_rest(&self, route: &str) {
        let of = [("route", route)];
        let look = || {
            let scrape = self.scrape();
            ["serin_requests_in_flight", "serin_streams_in_flight"]
                .map(|name| scrape.sum(name, &of))
        };
        eventually("nothing is in flight", look, |seen| *seen == [0.0, 0.0]);
    }

    /// Asks the router to stop.
    pub(crate) fn stop(&mut self) {
        self.router.stop();
    }

    /// Waits for the router's end.
    pub(crate) fn ended(&mut self) -> io::Result<()> {
        self.router.ended()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.router.was_stopped() || thread::panicking() {
            return;
        }
        let scrape = self.scrape();
        assert_eq!(
            scrape.sum("serin_panics_total", &[]),
            0.0,
            "something panicked"
        );
        let refused = |request: &Received| request.ended == Ended::Refused;
        let strange = self
            .simulator
            .journal()
            .requests()
            .into_iter()
            .find(refused);
        assert!(strange.is_none(), "no HTTP at the provider: {strange:?}");
        self.stop();
    }
}

/// One line of `keys:`.
pub(crate) fn key(name: &str, secret: &str, routes: &str) -> String {
    let digest = digest(&SHA256, secret.as_bytes());
    let sha256: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("  - {{name: {name}, secrets: [{{sha256: \"{sha256}\"}}], routes: [{routes}]}}\n")
}

/// A route whose whole weight is on target `a` (model `{name}`), which `b` (model `b`) stands in for.
pub(crate) fn pair(name: &str, more: &str) -> String {
    format!(
        "  - {{name: {name}, targets: [{{name: a, provider: sim, model: {name}}}, \
           {{name: b, provider: sim, model: b}}], \
           traffic: {{weights: {{a: 100}}, fallback: [b]}}{more}}}\n"
    )
}

/// A route with the one target `a` (model `{name}`).
pub(crate) fn alone(name: &str, more: &str) -> String {
    format!(
        "  - {{name: {name}, targets: [{{name: a, provider: sim, model: {name}}}], \
           traffic: {{weights: {{a: 100}}}}{more}}}\n"
    )
}

fn documents(providers: &str, keys: &str, routes: &str) -> String {
    format!(
        "server: {{allowedNetworks: [127.0.0.0/8]}}\n\
         providers:\n{providers}keys:\n{keys}routes:\n{routes}"
    )
}

fn listing(text: &str, revision: u64, previous: Option<&Listing>) -> Listing {
    let version = file::read_text("stage", text, None);
    let version = version.unwrap_or_else(|unusable| panic!("{unusable}\n{text}"));
    file::listing(&version.file, Revision(revision), previous)
}

fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&loopback().into())
        .expect("port 0 is never taken");
    let address = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    (socket, address.expect("an IPv4 address"))
}
