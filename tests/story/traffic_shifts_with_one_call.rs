//! One call moves traffic, and the next request follows; whoever may not, or comes too late, or
//! cannot count to a hundred, is told so and changes nothing; the audit log tells the rest.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::Request;
use serin_tests::command::serin as command;
use serin_tests::control_plane::token;
use serin_tests::{Api, Serin, Simulator, World, eventually};

use crate::documents::{chat, documents};

/// Requests that are looked at after a change; with 90 to 10 both targets are among them but for a
/// chance of 10^-7.
const REQUESTS: usize = 150;
const SOON: Duration = Duration::from_secs(20);

async fn stage(world: &World) -> (Simulator, Serin) {
    let simulator = Simulator::start(world).await;
    let routes = "  - name: chat\n    targets:\n      \
         - {name: gpt, provider: a, model: gpt-4.1}\n      \
         - {name: claude, provider: b, model: claude-sonnet-4.5}\n    \
         traffic: {weights: {gpt: 100, claude: 0}, fallback: [gpt]}\n";
    let text = documents(&[simulator.address, simulator.address], routes);
    let serin = Serin::up(world, &text).await;
    (simulator, serin)
}

/// The targets that answer the next requests.
async fn targets(serin: &Serin) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for _ in 0..REQUESTS {
        let answer = serin
            .ask(Request::post("/v1/chat/completions", chat().to_string()))
            .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        found.insert(answer.header("x-serin-target").unwrap_or("none").to_owned());
    }
    found
}

/// Waits until the router says that it serves the revision of an answer's ETag.
async fn followed(serin: &Serin, etag: &str) {
    let wanted: u64 = etag
        .trim_matches('"')
        .parse()
        .expect("an ETag is a revision");
    let look = async || serin.admin("/snapshot").await.json()["revision"].as_u64();
    let holds = |seen: &Option<u64>| seen.is_some_and(|seen| seen >= wanted);
    eventually("the router follows", SOON, look, holds).await;
}

fn of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn etag(answer: &serin_tests::client::Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

/// Statuses and the first fault of a refusal.
fn refusal(answer: &serin_tests::client::Answer) -> (u16, Value, Value) {
    let problem = answer.json();
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("application/problem+json"),
        "{kind}: {problem}"
    );
    (
        answer.status(),
        problem["code"].clone(),
        problem["errors"][0]["pointer"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_and_curl_move_it_and_every_way_to_fail_is_told() {
    let world = World::new();
    let (_simulator, serin) = stage(&world).await;
    let admin = serin.api();
    assert_eq!(targets(&serin).await, of(&["gpt"]));

    let set = [
        "traffic",
        "chat",
        "--set",
        "gpt=90,claude=10",
        "--reason",
        "a first look",
    ];
    let done = command(serin.api, token("operator"), &set).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let live = admin.get("/routes/chat/traffic").await;
    assert_eq!(live.json()["weights"], json!({"gpt": 90.0, "claude": 10.0}));
    followed(&serin, &etag(&live)).await;
    assert_eq!(targets(&serin).await, of(&["claude", "gpt"]));

    let body = json!({"weights": {"claude": 100}, "fallback": ["gpt"], "reason": "all of it"});
    let moved = admin
        .put("/routes/chat/traffic", &body, Some(&etag(&live)))
        .await;
    assert_eq!(moved.status(), 200, "{}", moved.text());
    followed(&serin, &etag(&moved)).await;
    assert_eq!(targets(&serin).await, of(&["claude"]));

    refusals(&admin, &etag(&live), &etag(&moved)).await;
    assert_eq!(
        targets(&serin).await,
        of(&["claude"]),
        "a refused call changed something"
    );
    who_did_what(&admin).await;
}

async fn refusals(admin: &Api, stale: &str, current: &str) {
    let traffic = "/routes/chat/traffic";
    let half = json!({"weights": {"gpt": 50, "claude": 50}});
    let ninety_nine = json!({"weights": {"gpt": 50, "claude": 49}});
    let answer = admin.put(traffic, &half, Some(stale)).await;
    assert_eq!(refusal(&answer), (412, json!("stale"), Value::Null));
    let answer = admin.put(traffic, &half, None).await;
    assert_eq!(
        refusal(&answer),
        (428, json!("precondition_required"), Value::Null)
    );
    let answer = admin.put(traffic, &ninety_nine, Some(current)).await;
    assert_eq!(
        refusal(&answer),
        (422, json!("invalid_document"), json!("/weights"))
    );
    let viewer = admin.with_token(token("viewer"));
    let answer = viewer.put(traffic, &half, Some(current)).await;
    assert_eq!(refusal(&answer), (403, json!("forbidden"), Value::Null));
    let answer = admin.with_token("nobody").get(traffic).await;
    assert_eq!(answer.status(), 401, "{}", answer.text());
}

/// The two changes, newest first, with their authors, reasons, before and after.
async fn who_did_what(admin: &Api) {
    let audit = admin.get("/audit?limit=2").await.json();
    let told = |n: usize| {
        let record = &audit["items"][n];
        json!([
            record["actor"]["name"],
            record["actor"]["role"],
            record["key"],
            record["reason"],
            record["before"]["weights"],
            record["after"]["weights"],
        ])
    };
    let key = "config/routes/chat";
    let (all, some, none) = (
        json!({"claude": 100.0}),
        json!({"gpt": 90.0, "claude": 10.0}),
        json!({"gpt": 100.0, "claude": 0.0}),
    );
    assert_eq!(
        told(0),
        json!(["ada", "admin", key, "all of it", some, all]),
        "{audit:#}"
    );
    assert_eq!(
        told(1),
        json!(["otto", "operator", key, "a first look", none, some]),
        "{audit:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_serin_up_leaves_live_traffic_alone_and_says_so() {
    let world = World::new();
    let (simulator, serin) = stage(&world).await;
    let admin = serin.api();
    let live = admin.get("/routes/chat/traffic").await;
    let body = json!({"weights": {"gpt": 75, "claude": 25}});
    let moved = admin
        .put("/routes/chat/traffic", &body, Some(&etag(&live)))
        .await;
    assert_eq!(moved.status(), 200, "{}", moved.text());

    // An edit of the file: a new alias, the old traffic.
    let routes = "  - name: chat\n    aliases: [gpt-4]\n    targets:\n      \
         - {name: gpt, provider: a, model: gpt-4.1}\n      \
         - {name: claude, provider: b, model: claude-sonnet-4.5}\n    \
         traffic: {weights: {gpt: 100, claude: 0}, fallback: [gpt]}\n";
    serin.rewrite(&documents(&[simulator.address, simulator.address], routes));
    let look = async || admin.get("/routes/chat").await.json();
    let seen = eventually("the alias is there", SOON, look, |route| {
        route["aliases"] == json!(["gpt-4"])
    })
    .await;
    assert_eq!(
        seen["traffic"]["weights"],
        json!({"gpt": 75.0, "claude": 25.0})
    );
    let log = async || serin.process.printed();
    eventually(
        "it says that the file's traffic differs",
        SOON,
        log,
        |log| {
            log.lines()
                .any(|line| line.contains("chat") && line.contains("--traffic"))
        },
    )
    .await;

    // A faulty one changes nothing, and what a file does not name stays.
    let faulty = routes
        .replace("gpt-4]", "gpt-5]")
        .replace("gpt: 100", "gpt: 99");
    serin.rewrite(&documents(&[simulator.address], &faulty));
    eventually("it says what is wrong, and where", SOON, log, |log| {
        log.contains("serin.yaml:") && log.contains("sum to 99")
    })
    .await;
    assert_eq!(
        admin.get("/routes/chat").await.json()["aliases"],
        json!(["gpt-4"])
    );
    serin.rewrite(&documents(&[simulator.address], routes));
    assert_eq!(admin.get("/providers/b").await.status(), 200);
}
