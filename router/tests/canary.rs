//! Arms: who is assigned to the canary, who serves, and what counts as a sample.

use std::collections::BTreeSet;

use crate::{
    client::{CHAT, Request, chat_body},
    stage::Stage,
    wait::eventually,
};

/// Three targets, `new` being the canary with this share.
fn routes(share: u32) -> String {
    let target = |name: &str| format!("{{name: {name}, provider: sim, model: {name}}}");
    let (old, older) = (75 - share, 25);
    format!(
        "  - {{name: chat, targets: [{}, {}, {}], affinity: [\"header:x-session-id\", \"body:user\"], \
           traffic: {{weights: {{old: {old}, older: {older}, new: {share}}}, canary: new, fallback: [old]}}}}\n",
        target("old"),
        target("older"),
        target("new")
    )
}

const SESSIONS: u32 = 300;

/// Arm and target of each session.
fn assigned(stage: &Stage) -> Vec<(String, String)> {
    let mut connection = crate::client::Connection::open(stage.traffic);
    let ask = |session| {
        let request = Request::chat("chat").header("x-session-id", &format!("s{session}"));
        let answer = connection.ask(&request).expect("an answer");
        let header = |name| answer.header(name).unwrap_or_default().to_owned();
        (header("x-serin-arm"), header("x-serin-target"))
    };
    (0..SESSIONS).map(ask).collect()
}

#[test]
fn a_session_stays_where_it_is_and_a_rising_share_lets_nobody_out() {
    let stage = Stage::new("{}", &routes(5));
    let mut before = BTreeSet::new();
    for share in [5, 25, 50] {
        stage.apply(&routes(share));
        let first = assigned(&stage);
        assert_eq!(first, assigned(&stage), "the same id, the same target");
        let in_canary = |(_, (arm, _)): &(usize, &(String, String))| arm == "canary";
        let now: BTreeSet<usize> = first
            .iter()
            .enumerate()
            .filter(in_canary)
            .map(|(i, _)| i)
            .collect();
        assert!(
            first
                .iter()
                .all(|(arm, target)| (arm == "canary") == (target == "new"))
        );
        assert!(before.is_subset(&now), "nobody leaves: {share} %");
        let found = now.len() as f64 / f64::from(SESSIONS) * 100.0;
        assert!(
            (found - f64::from(share)).abs() < 10.0,
            "{found} % instead of {share} %"
        );
        before = now;
    }
}

#[test]
fn a_failing_canary_is_charged_and_its_callers_are_served_by_another() {
    let stage = Stage::new("{models: {new: {errors: [{status: 500}]}}}", &routes(25));
    let answers = assigned(&stage);
    let canaries = answers.iter().filter(|(arm, _)| arm == "canary").count();
    assert!(canaries > 10);
    assert!(
        answers
            .iter()
            .all(|(arm, target)| target != "new" && (arm != "canary" || target == "old"))
    );
    let of = |role| [("route", "chat"), ("arm", "canary"), ("role", role)];
    let charged = || {
        stage
            .scrape()
            .sum("serin_upstream_requests_total", &of("first"))
    };
    eventually("each charged once", charged, |count| {
        *count == canaries as f64
    });
    let scrape = stage.scrape();
    let on_new = [
        ("target", "new"),
        ("arm", "canary"),
        ("role", "first"),
        ("outcome", "error"),
    ];
    assert_eq!(
        scrape.sum("serin_upstream_requests_total", &on_new),
        canaries as f64
    );
    let rescued = [
        ("target", "old"),
        ("arm", "canary"),
        ("role", "fallback"),
        ("reason", "none"),
    ];
    assert_eq!(
        scrape.sum("serin_upstream_requests_total", &rescued),
        canaries as f64
    );
    let evidence = [("target", "old"), ("arm", "canary")];
    assert_eq!(
        scrape.sum_or_none("serin_output_tokens_count", &evidence),
        0.0,
        "no evidence"
    );
    let tokens = scrape.sum_or_none("serin_tokens_total", &evidence);
    assert_eq!(tokens, 24.0 * canaries as f64, "but paid for");
}

#[test]
fn a_value_is_one_sample_in_ten_seconds_and_a_drawn_request_always_is() {
    let stage = Stage::new("{}", &routes(5));
    let ask = |more: &str| stage.ask(&Request::post(CHAT, chat_body("chat", more)));
    for _ in 0..20 {
        assert_eq!(ask(",\"user\":\"u1\"").status, 200);
    }
    let first = || {
        stage
            .scrape()
            .sum("serin_upstream_requests_total", &[("role", "first")])
    };
    eventually("all counted", first, |count| *count == 20.0);
    let samples = || {
        stage
            .scrape()
            .sum("serin_analysis_samples_total", &[("route", "chat")])
    };
    let of_user = samples();
    assert!(
        (1.0..=2.0).contains(&of_user),
        "one for each ten seconds they lie in: {of_user}"
    );
    for _ in 0..20 {
        assert_eq!(ask("").status, 200);
    }
    eventually("each of those counts", samples, |count| {
        *count == of_user + 20.0
    });
}
