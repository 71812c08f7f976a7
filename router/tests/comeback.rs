//! A target that was left alone comes back, whatever became of its probes and of the last resorts.

use std::{
    fs,
    io::Read as _,
    net::{TcpListener, TcpStream},
};

use crate::{
    breaker::{becomes, opened, script, state},
    client::{Connection, Request},
    stage::{Setup, Stage, alone},
    wait::{PATIENCE, eventually},
};

/// A provider that holds each request until the test lets go of it, which fails it.
struct Hand {
    listener: TcpListener,
}

impl Hand {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port 0 is never taken");
        listener
            .set_nonblocking(true)
            .expect("a socket takes an option");
        Self { listener }
    }

    fn provider(&self) -> String {
        let address = self.listener.local_addr().expect("a bound listener");
        format!("  - {{name: hand, dialect: openai, baseUrl: \"http://{address}/v1\"}}\n")
    }

    /// A request, read whole, if one has come.
    fn request(&self) -> Option<TcpStream> {
        let (mut stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(false).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        let (mut read, mut some) = (Vec::new(), [0; 4096]);
        while !read.ends_with(b"}]}") {
            let count = stream.read(&mut some).expect("a request");
            assert_ne!(count, 0, "half a request");
            read.extend_from_slice(&some[..count]);
        }
        Some(stream)
    }

    /// Asks until a request comes through; those before it are turned away.
    fn reached(&self, stage: &Stage) -> (Connection, TcpStream) {
        let ask = || {
            let (connection, mut held) = (stage.begin(&Request::chat("chat")), None);
            let look = || {
                held = held.take().or_else(|| self.request());
                held.is_some() || connection.has_answer()
            };
            eventually("sent on or answered", look, |seen| *seen);
            held.map(|held| (connection, held))
        };
        eventually("a request comes through", ask, Option::is_some).expect("as awaited")
    }

    /// A request that comes through and fails.
    fn fails(&self, stage: &Stage) {
        let (mut caller, held) = self.reached(stage);
        drop(held);
        assert_eq!(caller.answer().expect("an answer").status, 502);
    }
}

/// Route `chat` to the hand; open for so short that the next request is the probe, or for long.
fn by_hand(open_for: &str) -> String {
    let limits = format!(
        ", whenAllOpen: reject, retry: {{attempts: 0}}, \
           breaker: {{consecutiveFailures: 3, openFor: {open_for}, maxOpenFor: {open_for}}}"
    );
    alone("chat", &limits).replace("provider: sim", "provider: hand")
}

/// Waits until so many requests of route `chat` are under way: who left is noticed.
pub(crate) fn under_way(stage: &Stage, expected: f64) {
    let of = [("route", "chat")];
    let look = || stage.scrape().sum("serin_requests_in_flight", &of);
    eventually("as many are under way", look, |seen| *seen == expected);
}

fn turned_away(stage: &Stage) -> Option<String> {
    let answer = stage.ask(&Request::chat("chat"));
    let told = (answer.status, &*answer.code());
    assert_eq!(told, (503, "no_target_available"), "{answer:?}");
    answer.header("retry-after").map(str::to_owned)
}

/// An attempt from before the breaker opened, and then a probe whose caller has left.
fn left_in_mid_probe(stage: &Stage, hand: &Hand) -> (Connection, TcpStream) {
    let early = hand.reached(stage);
    for _ in 0..3 {
        hand.fails(stage);
    }
    becomes(stage, "chat", "half_open");
    let (caller, held) = hand.reached(stage);
    for _ in 0..3 {
        // Its open time is over, and a wait of nothing would ask for a stampede.
        assert_eq!(turned_away(stage).as_deref(), Some("1"));
    }
    assert!(hand.request().is_none(), "one probe at a time");
    caller.leave();
    under_way(stage, 1.0);
    assert_eq!(state(stage, "chat", "a"), "half_open");
    drop(held);
    early
}

#[test]
fn neither_a_reload_nor_a_straggler_takes_a_probe_without_a_verdict_for_a_success() {
    for disturbance in ["reload", "straggler"] {
        let hand = Hand::new();
        let setup = Setup {
            routes: by_hand("1ms"),
            providers: hand.provider(),
            ..Setup::default()
        };
        let stage = Stage::with("{}", setup);
        let (mut caller, held) = left_in_mid_probe(&stage, &hand);
        if disturbance == "straggler" {
            drop(held);
            assert_eq!(caller.answer().expect("an answer").status, 502);
        } else {
            stage.apply(&by_hand("2ms"));
        }
        assert_eq!(state(&stage, "chat", "a"), "half_open", "{disturbance}");
        stage.apply(&by_hand("60s"));
        hand.fails(&stage);
        becomes(&stage, "chat", "open");
        for _ in 0..10 {
            turned_away(&stage);
        }
        assert!(hand.request().is_none(), "{disturbance}: it is left alone");
    }
}

#[test]
fn last_resorts_that_fail_do_not_keep_a_target_out_for_longer() {
    let limits = ", breaker: {openFor: 2s, maxOpenFor: 60s}, retry: {attempts: 0}";
    let stage = Stage::new("{models: {chat: {reset: true}}}", &alone("chat", limits));
    opened(&stage);
    for _ in 0..30 {
        assert_eq!(stage.ask(&Request::chat("chat")).status, 502);
    }
    assert_eq!(stage.received("chat").len(), 35, "each was tried");
    stage.apply(&alone("chat", &format!("{limits}, whenAllOpen: reject")));
    let wait: u64 = turned_away(&stage)
        .and_then(|wait| wait.parse().ok())
        .expect("a wait");
    assert!((1..=3).contains(&wait), "one and a half times 2 s: {wait}");
    script(&stage, "{}");
    stage.simulator.journal().clear();
    let status = || stage.ask(&Request::chat("chat")).status;
    eventually("a probe is let through", status, |status| *status == 200);
    assert_eq!(stage.received("chat").len(), 1, "and nothing before it");
    becomes(&stage, "chat", "closed");
}

#[test]
fn another_credential_ends_what_the_refusal_of_the_last_one_began() {
    // cargo sets this variable for tests.
    const RIGHT: (&str, &str) = ("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = |name: &str, secret: &str| {
        let path = folder.path().join(name);
        fs::write(&path, secret).expect("a temporary file");
        format!("file: {}", path.display())
    };
    let (wrong, right) = (written("wrong", "sk-wrong"), written("right", RIGHT.1));
    for other in [right, format!("env: {}", RIGHT.0)] {
        let providers = format!(
            "  - {{name: shy, dialect: openai, baseUrl: \"http://{{sim}}/v1\", credential: {{{wrong}}}}}\n"
        );
        let route = alone("chat", "").replace("provider: sim", "provider: shy");
        let setup = Setup {
            routes: route.clone(),
            providers,
            ..Setup::default()
        };
        let mut stage = Stage::with(&format!("{{requireKey: {}}}", RIGHT.1), setup);
        let answer = stage.ask(&Request::chat("chat"));
        let told = (answer.status, &*answer.code());
        assert_eq!(told, (502, "upstream_auth_failed"), "{answer:?}");
        becomes(&stage, "chat", "open");
        stage.rewrite_providers(&wrong, &other);
        stage.apply(&route);
        becomes(&stage, "chat", "closed");
        let answer = stage.ask(&Request::chat("chat"));
        assert_eq!(answer.status, 200, "{other}: {answer:?}");
        stage.counts(
            "chat",
            &["first a stable http_auth=1", "first a stable none=1"],
        );
    }
}
