//! Whatever a caller sends gets its status and code, and the provider hears nothing of it.
//!
//! After each of them the next request on the same connection works, or the connection is closed;
//! a good request at the end shows that nothing has been harmed.

use serde_json::json;
use serin_tests::client::{Connection, Request};
use serin_tests::serin::CALLER_SECRET;
use serin_tests::{Serin, Simulator, World};

use crate::documents::{chat, documents};

const CHAT: &str = "/v1/chat/completions";
const BODY_BYTES_MAX: usize = 1_000_000;
const NARROW_SECRET: &str = "sk-serin-narrow-0123456789abcdefghijklmnopqrstuvwxyzABCDE";

const OFF_SECRET: &str = "sk-serin-off-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH";

/// A bad request by name, with the status and code it must get.
struct Row(&'static str, Vec<u8>, u16, &'static str);

fn routes() -> &'static str {
    "  - name: chat\n    \
       targets: [{name: one, provider: a, model: model}]\n    \
       traffic: {weights: {one: 100}}\n  \
     - name: secret-route\n    \
       targets: [{name: one, provider: a, model: model}]\n    \
       traffic: {weights: {one: 100}}\n"
}

/// A second key that may use `chat` alone, and a third that is switched off.
fn more_keys(world: &World) -> String {
    let file = world.write("narrow", NARROW_SECRET);
    let file = file.display();
    let off = world.write(
        "off",
        "sk-serin-off-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH",
    );
    let off = off.display();
    format!(
        "  - {{name: narrow, secrets: [{{file: \"{file}\"}}], routes: [chat]}}\n  \
         - {{name: off, disabled: true, secrets: [{{file: \"{off}\"}}], routes: [\"*\"]}}\n"
    )
}

fn post(body: impl Into<Vec<u8>>) -> Vec<u8> {
    Request::post(CHAT, body).key(CALLER_SECRET).bytes()
}

/// Bodies that are no request.
fn shapes() -> Vec<Row> {
    let nested = format!("{{\"model\":\"chat\",\"x\":{}", "[".repeat(100_000));
    let closed = format!("{nested}{}}}", "]".repeat(100_000));
    let barely = format!(
        "{{\"model\":\"chat\",\"x\":{}{}}}",
        "[".repeat(128),
        "]".repeat(128)
    );
    let bytes = b"{\"model\":\"chat\",\"x\":\"\xff\"}".to_vec();
    let row = |name, body: Vec<u8>| Row(name, post(body), 400, "invalid_request");
    vec![
        row("an empty body", b"".to_vec()),
        row("not JSON", b"hello".to_vec()),
        row("half of JSON", b"{\"model\":\"chat\"".to_vec()),
        row("a list", b"[{\"model\":\"chat\"}]".to_vec()),
        row(
            "two objects",
            b"{\"model\":\"chat\"}{\"model\":\"chat\"}".to_vec(),
        ),
        row("100 000 open lists", nested.into()),
        row("100 000 nested lists", closed.into()),
        row("one list deeper than allowed", barely.into()),
        row("invalid UTF-8", bytes),
        row(
            "invalid UTF-8 in the model",
            b"{\"model\":\"ch\xc3\"}".to_vec(),
        ),
    ]
}

/// Objects whose `model` or `stream` cannot be meant.
fn fields() -> Vec<Row> {
    let row = |name, fields: &str, status, code| {
        Row(
            name,
            post(format!("{{\"messages\":[],{fields}}}")),
            status,
            code,
        )
    };
    let (bad, unknown) = ("invalid_request", "model_not_found");
    vec![
        row("no model", r#""x":1"#, 400, bad),
        row("an empty model", r#""model":"""#, 400, bad),
        row("a model that is a number", r#""model":7"#, 400, bad),
        row("a model that is null", r#""model":null"#, 400, bad),
        row("model twice", r#""model":"chat","model":"chat""#, 400, bad),
        row(
            "model twice, once escaped",
            r#""model":"chat","mod\u0065l":"x""#,
            400,
            bad,
        ),
        row(
            "model in two cases",
            r#""model":"chat","Model":"x""#,
            400,
            bad,
        ),
        row(
            "stream twice",
            r#""model":"chat","stream":true,"stream":false"#,
            400,
            bad,
        ),
        row(
            "a stream that is a word",
            r#""model":"chat","stream":"yes""#,
            400,
            bad,
        ),
        row("an unknown model", r#""model":"nobody""#, 404, unknown),
        row(
            "a model with a line break",
            r#""model":"chat\r\nx: y""#,
            404,
            unknown,
        ),
    ]
}

/// Requests that are refused for their key.
fn keys() -> Vec<Row> {
    let row = |name, authorization: &str| {
        let request = Request::post(CHAT, chat().to_string());
        let request = request.header("authorization", authorization);
        Row(name, request.bytes(), 401, "invalid_api_key")
    };
    let none = Request::post(CHAT, chat().to_string()).bytes();
    let narrow = Request::post(CHAT, "{\"model\":\"secret-route\"}")
        .key(NARROW_SECRET)
        .bytes();
    vec![
        Row("no key", none, 401, "invalid_api_key"),
        row("a wrong key", "Bearer sk-wrong"),
        row("another scheme", "Basic c2s6eA=="),
        row("an empty key", "Bearer "),
        row("a huge key", &format!("Bearer {}", "x".repeat(5_000))),
        row(
            "a key that is switched off",
            &format!("Bearer {OFF_SECRET}"),
        ),
        Row(
            "a route the key may not use",
            narrow,
            403,
            "route_not_allowed",
        ),
    ]
}

/// Requests that go nowhere, or in a form that is not read.
#[rustfmt::skip]
fn places() -> Vec<Row> {
    let row = |name, request: Request, status, code| {
        Row(name, request.key(CALLER_SECRET).bytes(), status, code)
    };
    let (post, get) = (|path| Request::post(path, chat().to_string()), Request::get);
    let zipped = Request::post(CHAT, "x").header("content-encoding", "gzip");
    let delete = Request::new("DELETE", "/v1/models");
    vec![
        row("a compressed body",   zipped,               415, "unsupported_encoding"),
        row("an unknown path",     get("/v2/models"),    404, "unknown_path"),
        row("GET on chat",         get(CHAT),            405, "method_not_allowed"),
        row("DELETE on models",    delete,               405, "method_not_allowed"),
        row("a path that climbs",  post("/v1/a/../b"),   400, "invalid_request"),
        row("an escaped path",     post("/v1/a%2e/b"),   400, "invalid_request"),
    ]
}

fn too_large() -> Vec<Row> {
    let body = format!(
        "{{\"model\":\"chat\",\"x\":\"{}\"}}",
        "y".repeat(BODY_BYTES_MAX)
    );
    let head = Request::new("POST", CHAT)
        .key(CALLER_SECRET)
        .header("content-type", "application/json");
    let chunked = head.clone().header("transfer-encoding", "chunked").bytes();
    let chunks = body
        .as_bytes()
        .chunks(60_000)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let chunked: Vec<u8> = chunked
        .into_iter()
        .chain(chunks)
        .chain(*b"0\r\n\r\n")
        .collect();
    let lie = head.header("content-length", "99999999999").bytes();
    let code = "request_too_large";
    vec![
        Row("a body over the limit", post(body), 413, code),
        Row("a chunked body over the limit", chunked, 413, code),
        Row("a length over the limit, and nothing of it", lie, 413, code),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_its_status_and_the_provider_hears_nothing() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let documents = documents(&[simulator.address], routes()) + &more_keys(&world);
    let settings = format!("  maxBodyBytes: {BODY_BYTES_MAX}\n");
    let serin = Serin::up_with(&world, &settings, &documents).await;
    let rows: Vec<Row> = [shapes(), fields(), keys(), places(), too_large()]
        .into_iter()
        .flatten()
        .collect();
    let mut wrong = Vec::new();
    for row in &rows {
        if let Err(why) = try_row(&serin, row).await {
            wrong.push(format!("{}: {why}", row.0));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n  {}",
        wrong.len(),
        rows.len(),
        wrong.join("\n  ")
    );
    let good = chat().to_string();
    let all_good = simulator
        .journal()
        .await
        .iter()
        .all(|seen| seen.body == good.replace("chat", "model"));
    assert!(
        all_good,
        "the provider saw: {:#?}",
        simulator.journal().await
    );
    assert!(
        !serin.process.stderr().contains("panicked"),
        "{}",
        serin.process.printed()
    );
    assert_eq!(serin.metrics().await.sum("serin_panics_total", &[]), 0.0);
}

/// The row, then a good request on the same connection or, if that was closed, on a new one.
async fn try_row(serin: &Serin, Row(_, bytes, status, code): &Row) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut connection = Connection::open(serin.traffic).await.map_err(failed)?;
    // A server may close while we still write; what counts is that its answer can be read.
    let sent = connection.send(bytes).await;
    let head = connection
        .head()
        .await
        .map_err(|error| format!("no answer: {error}; {sent:?}"))?;
    let (body, whole) = connection.rest().await.map_err(failed)?;
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    if head.status != *status || error["error"]["code"] != json!(code) || !whole {
        return Err(format!(
            "{} {text}, whole: {whole}; expected {status} {code}",
            head.status
        ));
    }
    for field in ["message", "type"] {
        if !error["error"][field].is_string() {
            return Err(format!("no {field} in {text}"));
        }
    }
    // What the caller named may be named again; other routes and our insides may not.
    let told = text.contains("secret-route") && head.status != 403;
    if told || text.contains("127.0.0.1") {
        return Err(format!("tells of our insides: {text}"));
    }
    if *status == 405 && head.header("allow").is_none() {
        return Err("no Allow".to_owned());
    }
    let good = Request::post(CHAT, chat().to_string()).key(CALLER_SECRET);
    match connection.exchange(&good).await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(format!("then {}: {}", answer.status(), answer.text())),
        Err(_) => match serin
            .ask(Request::post(CHAT, chat().to_string()))
            .await
            .status()
        {
            200 => Ok(()),
            other => Err(format!("then, on a new connection, {other}")),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_refused_and_the_connection_closed() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let serin = Serin::up(&world, &documents(&[simulator.address], routes())).await;
    let key = format!("authorization: Bearer {CALLER_SECRET}\r\n");
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{key}");
    let body = chat().to_string();
    let length = body.len();
    let huge = format!("{head}x-huge: {}\r\n\r\n", "x".repeat(300_000));
    let rows = [
        ("no HTTP at all", "GARBAGE\r\n\r\n".to_owned(), 400),
        ("a head without end", huge, 431),
        (
            "two lengths",
            format!("{head}content-length: {length}\r\ncontent-length: 3\r\n\r\n{body}"),
            400,
        ),
        (
            "a length and chunks",
            format!("{head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            "a negative length",
            format!("{head}content-length: -1\r\n\r\n{body}"),
            400,
        ),
        (
            "a chunk size that is none",
            format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"),
            400,
        ),
    ];
    for (name, bytes, status) in rows {
        let mut connection = Connection::open(serin.traffic)
            .await
            .expect("somebody listens");
        let _ = connection.send(bytes.as_bytes()).await;
        // Without an answer, the closed connection is the answer.
        if let Ok(head) = connection.head().await {
            assert_eq!(head.status, status, "{name}");
            let _ = connection.rest().await;
        }
        assert!(
            connection.closed().await,
            "{name}: the connection stays open"
        );
    }
    assert_eq!(
        simulator.journal().await.len(),
        0,
        "{:#?}",
        simulator.journal().await
    );
    assert_eq!(serin.ask(Request::post(CHAT, body)).await.status(), 200);
}
