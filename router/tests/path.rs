//! One good request: who answered, what it cost, and what exactly reached the provider.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
};

use serde_json::json;
use serin_router::settings::Auth;

use crate::{
    client::{CHAT, Request, chat_body},
    stage::{Setup, Stage, alone, key},
    wait::eventually,
};

/// Route `chat` with prices and an alias; `dear` has no price for what it says.
const PRICED: &str = "  - {name: chat, aliases: [gpt-4, openai/gpt-4], targets: [{name: a, \
     provider: sim, model: model-a, price: {input: 2.0, output: 8.0}}], traffic: {weights: {a: 100}}}\n";

#[test]
fn a_plain_answer_is_the_providers_and_says_who_gave_it_and_what_it_cost() {
    let stage = Stage::new("{fixedIds: true}", PRICED);
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let direct = Request::chat("model-a");
    let direct = crate::client::Connection::begin(stage.simulator.addr(), &direct).answer();
    assert_eq!(
        answer.body,
        direct.expect("the provider answers").body,
        "byte for byte"
    );
    let headers = [
        ("content-type", "application/json"),
        ("x-serin-route", "chat"),
        ("x-serin-target", "a"),
        ("x-serin-arm", "stable"),
        ("x-serin-attempts", "1"),
        ("x-serin-revision", "1"),
        // 8 tokens at 2 and 16 at 8 dollars a million.
        ("x-serin-cost-usd", "0.000144"),
    ];
    for (name, value) in headers {
        assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
    }
    stage.counts("chat", &["first a stable none=1"]);
    let scrape = stage.scrape();
    let code = [
        ("route", "chat"),
        ("operation", "chat"),
        ("stream", "false"),
        ("code", "200"),
    ];
    assert_eq!(scrape.sum("serin_requests_total", &code), 1.0);
    let tokens = scrape.told("serin_tokens_total", "chat", &["target", "type", "source"]);
    assert_eq!(tokens, ["a input reported=8", "a output reported=16"]);
    assert_eq!(
        scrape.sum("serin_cost_usd_total", &[("target", "a")]),
        0.000144
    );
    assert_eq!(
        scrape.sum("serin_output_tokens_sum", &[("target", "a")]),
        16.0
    );
    assert_eq!(
        scrape.sum("serin_request_cost_usd_count", &[("target", "a")]),
        1.0
    );
}

#[test]
fn without_a_price_there_is_no_cost() {
    let stage = Stage::new("{}", &alone("chat", ""));
    assert_eq!(
        stage.ask(&Request::chat("chat")).header("x-serin-cost-usd"),
        None
    );
}

#[test]
fn a_sane_request_id_is_kept_and_any_other_is_made_anew() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let id = |given: Option<&str>| {
        let request = Request::chat("chat");
        let request = given.map_or(request.clone(), |id| request.header("x-request-id", id));
        let answer = stage.ask(&request);
        answer
            .header("x-request-id")
            .expect("every answer has one")
            .to_owned()
    };
    let longest = "x".repeat(128);
    for sane in ["a", "req_1-2.3", &longest] {
        assert_eq!(id(Some(sane)), sane);
    }
    let too_long = "x".repeat(129);
    let mut made = Vec::new();
    for other in [
        None,
        Some(""),
        Some("a b"),
        Some("ä"),
        Some("a;b"),
        Some(&*too_long),
    ] {
        let id = id(other);
        let is_hex = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_hex, "{other:?}: {id}");
        made.push(id);
    }
    made.dedup();
    assert_eq!(made.len(), 6, "each its own: {made:?}");
}

#[test]
fn unknown_fields_order_and_whitespace_arrive_untouched() {
    let stage = Stage::new("{}", PRICED);
    let body = "\n{ \"zeta\":1.50e+3,\t\"model\" : \"openai\\/gpt-4\",\r\n  \"messages\":[],\
                \"dup\":1,\"dup\":2,\"\\u00e4\":\"\\ud83d\\ude00 \u{fffd}\", \"n\":123456789012345678901234567890 }\n";
    let answer = stage.ask(&Request::post(CHAT, body));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = stage.received("model-a");
    let expected = body.replace("\"openai\\/gpt-4\"", "\"model-a\"");
    assert_eq!(
        received[0].text(),
        Some(&*expected),
        "but for the model's name"
    );
}

#[test]
fn only_headers_of_the_allow_list_reach_the_provider() {
    let provider = "  - {name: extra, dialect: openai, baseUrl: \"http://{sim}/v1\", \
                    headers: {openai-organization: org-1, X-Own: mine}}\n";
    let routes = "  - {name: chat, targets: [{name: a, provider: extra, model: m}], \
                  traffic: {weights: {a: 100}}}\n";
    let setup = Setup {
        routes: routes.to_owned(),
        providers: provider.to_owned(),
        ..Setup::default()
    };
    let stage = Stage::with("{}", setup);
    let request = Request::chat("chat")
        .header("accept", "application/json")
        .header("idempotency-key", "i1")
        .header("openai-beta", "b1")
        .header("cookie", "c")
        .header("x-api-key", "k")
        .header("x-forwarded-host", "evil")
        .header("accept-encoding", "gzip")
        .header("user-agent", "me")
        .header("x-request-id", "r1")
        .header("openai-organization", "theirs");
    assert_eq!(stage.ask(&request).status, 200);
    let received = stage.received("m").remove(0);
    let mut headers: Vec<String> = received
        .headers
        .iter()
        .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
        // The HTTP client's own.
        .filter(|header| !header.starts_with("date: "))
        .collect();
    headers.sort();
    let length = received.body.len();
    let expected = [
        "accept-encoding: identity".to_owned(),
        "accept: application/json".to_owned(),
        format!("content-length: {length}"),
        "content-type: application/json".to_owned(),
        format!("host: {}", stage.simulator.addr()),
        "idempotency-key: i1".to_owned(),
        "openai-beta: b1".to_owned(),
        "openai-organization: org-1".to_owned(),
        concat!("user-agent: serin/", env!("CARGO_PKG_VERSION")).to_owned(),
        "x-own: mine".to_owned(),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn only_headers_of_the_allow_list_reach_the_caller() {
    let script = "{default: {headers: {openai-processing-ms: '12', openai-version: v1, \
                  set-cookie: a=b, server: theirs, x-ratelimit-limit-requests: '5', x-serin-target: lie}}}";
    let stage = Stage::new(script, &alone("chat", ""));
    for request in [Request::chat("chat"), Request::stream("chat")] {
        let answer = stage.ask(&request);
        assert_eq!(answer.header("openai-processing-ms"), Some("12"));
        assert_eq!(answer.header("openai-version"), Some("v1"));
        assert_eq!(answer.header("x-serin-target"), Some("a"));
        for absent in ["set-cookie", "server", "x-ratelimit-limit-requests"] {
            assert_eq!(answer.header(absent), None, "{absent}");
        }
    }
}

#[test]
fn every_post_that_names_a_model_is_routed_and_counted_by_its_operation() {
    let stage = Stage::new("{}", PRICED);
    let table = [
        ("/v1/chat/completions", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/responses", "responses"),
        ("/v1/images/generations", "images"),
        ("/v1/audio/speech", "audio"),
        ("/v1/moderations", "moderations"),
        ("/v1/rerank?x=1", "other"),
        ("/v1/a/b/c", "other"),
    ];
    for (path, operation) in table {
        let body = "{\"model\":\"chat\",\"messages\":[],\"input\":\"x\",\"prompt\":\"y\"}";
        let answer = stage.ask(&Request::post(path, body));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let seen = stage.received("model-a").pop().expect("it has arrived");
        assert_eq!(Some(&*seen.path), path.split('?').next());
        let of = [("route", "chat"), ("operation", operation), ("code", "200")];
        let count = || stage.scrape().sum_or_none("serin_requests_total", &of);
        let times = table.iter().filter(|row| row.1 == operation).count() as f64;
        eventually(path, count, |count| *count >= 1.0 && *count <= times);
    }
}

#[test]
fn models_lists_what_the_key_may_use() {
    let narrow = "sk-serin-narrow-0123456789abcdefghijklmnopqrstuvwxyzABC";
    let routes = format!("{PRICED}{}", alone("other", ""));
    let setup = Setup {
        routes,
        keys: key("narrow", narrow, "other"),
        ..Setup::default()
    };
    let stage = Stage::with("{}", setup);
    let ids = |request: Request| {
        let answer = stage.ask(&request);
        assert_eq!(
            (answer.status, &answer.json()["object"]),
            (200, &json!("list"))
        );
        let data = answer.json()["data"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut ids: Vec<_> = data
            .iter()
            .map(|m| m["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids(Request::get("/v1/models")),
        ["chat", "gpt-4", "openai/gpt-4", "other"]
    );
    assert_eq!(ids(Request::get("/v1/models").key(Some(narrow))), ["other"]);
    let one = |id: &str, key| stage.ask(&Request::get(&format!("/v1/models/{id}")).key(Some(key)));
    let found = one("openai%2Fgpt-4", crate::client::SECRET);
    assert_eq!(
        (found.status, &found.json()["id"]),
        (200, &json!("openai/gpt-4"))
    );
    for (id, key) in [
        ("nobody", crate::client::SECRET),
        ("chat", narrow),
        ("%zz", narrow),
    ] {
        let answer = one(id, key);
        assert_eq!(
            (answer.status, &*answer.code()),
            (404, "model_not_found"),
            "{id}"
        );
    }
    assert!(stage.simulator.journal().requests().is_empty());
}

#[test]
fn with_auth_none_anybody_may_call() {
    let routes = alone("chat", ", affinity: [key, \"header:x-session-id\"]");
    let stage = Stage::with(
        "{}",
        Setup {
            routes,
            auth: Auth::None,
            ..Setup::default()
        },
    );
    for secret in [None, Some("whatever")] {
        assert_eq!(stage.ask(&Request::chat("chat").key(secret)).status, 200);
        assert_eq!(
            stage.ask(&Request::get("/v1/models").key(secret)).status,
            200
        );
    }
}

#[test]
fn large_answers_and_requests_pass_whole() {
    let script = "{models: {big: {padding: 3000000}, small: {}}, fixedIds: true}";
    let stage = Stage::new(
        script,
        &format!("{}{}", alone("big", ""), alone("small", "")),
    );
    let answer = stage.ask(&Request::chat("big"));
    assert!(
        answer.whole && answer.body.len() > 3_000_000,
        "{}",
        answer.body.len()
    );
    assert!(answer.json()["usage"]["total_tokens"].is_number());
    stage.counts("big", &["first a stable none=1"]);
    let tokens = || {
        stage
            .scrape()
            .told("serin_tokens_total", "big", &["type", "source"])
    };
    eventually("usage is found at its end", tokens, |seen| {
        *seen == ["input reported=8", "output reported=16"]
    });
    let body = chat_body("small", &format!(",\"x\":\"{}\"", "y".repeat(900_000)));
    assert_eq!(stage.ask(&Request::post(CHAT, body.clone())).status, 200);
    assert_eq!(stage.received("small")[0].text(), Some(&*body));
}

#[test]
fn probes_say_that_it_lives_and_is_ready() {
    let stage = Stage::new("{}", &alone("chat", ""));
    for path in ["/health", "/ready"] {
        assert_eq!(
            stage.ask(&Request::get(path).key(None)).status,
            200,
            "{path}"
        );
    }
    for path in ["/livez", "/readyz", "/version", "/snapshot", "/metrics"] {
        assert_eq!(stage.admin(path).status, 200, "{path}");
    }
    let snapshot = stage.admin("/snapshot").json();
    assert_eq!(
        snapshot["routes"][0]["targets"][0]["breaker"], "closed",
        "{snapshot}"
    );
    assert_eq!(
        stage.ask(&Request::get("/metrics")).status,
        404,
        "only at the admin port"
    );
}

#[test]
fn path_and_query_reach_the_provider_as_written_behind_its_own_path() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port 0 is never taken");
    let address = listener.local_addr().expect("a bound listener");
    let provider = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the router calls");
        let mut line = String::new();
        BufReader::new(&socket)
            .read_line(&mut line)
            .expect("a request line");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n";
        socket
            .write_all(format!("{head}{{}}").as_bytes())
            .expect("an answer");
        line
    });
    let provider_line =
        format!("  - {{name: own, dialect: openai, baseUrl: \"http://{address}/deep/v1/\"}}\n");
    let routes = alone("chat", "").replace("provider: sim", "provider: own");
    let stage = Stage::with(
        "{}",
        Setup {
            routes,
            providers: provider_line,
            ..Setup::default()
        },
    );
    let request = Request::post("/v1/rerank?x=1&y=%20%2f&z", "{\"model\":\"chat\"}");
    assert_eq!(stage.ask(&request).status, 200);
    let line = provider.join().expect("the provider has answered");
    assert_eq!(line, "POST /deep/v1/rerank?x=1&y=%20%2f&z HTTP/1.1\r\n");
}
