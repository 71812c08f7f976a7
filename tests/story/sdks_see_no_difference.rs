//! The official SDKs give their callers the same through Serin as from the provider itself.
//!
//! The same script of cases runs against both: events, exception classes, codes and the number of
//! requests are compared case by case. Where the contract says that something differs, the
//! difference is written out in `promised`; everything else must be equal.

use serde_json::{Value, json};
use serin_tests::guest::Sdk;
use serin_tests::serin::{CALLER_SECRET, PROVIDER_SECRET};
use serin_tests::{Serin, Simulator, World};

use crate::documents::documents;

const MODELS: [&str; 7] = [
    "plain", "thinker", "picky", "fragile", "busy", "broken", "down",
];

/// A provider with a manner or a fault under each name.
fn script() -> Value {
    json!({
        "fixedIds": true,
        "strict": true,
        "requireKey": PROVIDER_SECRET,
        "models": {
            "plain": {"text": "It rains in Paris, as it should."},
            "thinker": {"answerTokens": 6, "reasoning": 4},
            "picky": {"errors": [{
                "status": 400,
                "code": "context_length_exceeded",
                "message": "This model's maximum context length is 8 tokens.",
            }]},
            "fragile": {
                "answerTokens": 20,
                "errorInStream": {"afterEvents": 5, "code": "server_error"},
            },
            "busy": {"errors": [{"status": 429, "retryAfter": "1"}]},
            "broken": {"errors": [{"status": 500}]},
            "down": {"errors": [{"status": 503}]},
        },
    })
}

/// A route for each model, named as the model is.
fn routes() -> String {
    let route = |model: &str| {
        format!(
            "  - name: {model}\n    \
               targets: [{{name: hidden-target, provider: a, model: {model}}}]\n    \
               traffic: {{weights: {{hidden-target: 100}}}}\n"
        )
    };
    MODELS.map(route).concat()
}

/// How often the provider was asked for each model that fails, and how often it would be without
/// a router: the SDKs try three times. Serin tries a 429 and a 503 once more and a 500 never again,
/// and tells the SDK to leave it at that.
const ASKED: [(&str, usize, usize); 3] = [("busy", 3, 2), ("broken", 3, 1), ("down", 6, 4)];

/// What a case must be through Serin, given what it was directly.
fn promised(case: &Value) -> Value {
    let mut promised = case.clone();
    let exhausted = |case: &mut Value, status: u16, code: &str, kind: &str| {
        case["error"]["status"] = json!(status);
        case["error"]["code"] = json!(code);
        case["error"]["type"] = json!(kind);
        case["error"]["shouldRetry"] = json!("false");
        case["requests"] = json!(1);
    };
    match case["name"].as_str().unwrap_or_default() {
        // The chain is exhausted: our status and code, and no further try by the SDK.
        "always_429" => exhausted(
            &mut promised,
            429,
            "upstream_rate_limited",
            "rate_limit_error",
        ),
        "always_500" | "always_503" | "always_503_stream" => {
            exhausted(&mut promised, 502, "upstream_error", "server_error");
        }
        // Serin asks the provider for usage; OpenAI then says `"usage": null` in every other frame,
        // and only the frame that is nothing but usage is taken out again.
        "chat_stream"
        | "reasoning_stream"
        | "tool_call_stream"
        | "completion_stream"
        | "error_in_the_stream" => {
            for event in promised["events"].as_array_mut().into_iter().flatten() {
                event["usage"] = Value::Null;
            }
        }
        // OpenAI files a wrong key under another type; ours is the contract's.
        "wrong_key" => promised["error"]["type"] = json!("authentication_error"),
        "models" | "model" => only_names(&mut promised),
        _ => {}
    }
    if has_our_words(case) {
        promised["error"]["message"] = Value::Null;
    }
    promised
}

/// Cases whose error Serin words itself: classes and codes are compared, the text is not.
fn has_our_words(case: &Value) -> bool {
    let ours = [
        "wrong_key",
        "no_such_model",
        "unknown_model",
        "unknown_model_stream",
        "always_",
    ];
    let name = case["name"].as_str().unwrap_or_default();
    ours.iter().any(|ours| name.starts_with(ours))
}

/// What a case was through Serin, without what `promised` leaves open.
fn relayed(case: &Value) -> Value {
    let mut relayed = case.clone();
    if has_our_words(case) {
        let message = relayed["error"]["message"].take();
        let message = message.as_str().unwrap_or_default();
        assert!(message.len() > 10, "no message in {case}");
        for inside in ["127.0.0.1", "hidden-target", PROVIDER_SECRET] {
            assert!(
                !message.contains(inside),
                "the message tells of our insides: {message}"
            );
        }
    }
    if ["models", "model"].map(Value::from).contains(&case["name"]) {
        only_names(&mut relayed);
    }
    relayed
}

/// The provider's list says when and by whom a model was made; ours, what the key may use. What
/// is promised is the names, in any order.
fn only_names(case: &mut Value) {
    let models = case["events"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = models
        .iter()
        .map(|model| format!("{} {}", model["object"], model["id"]))
        .collect();
    names.sort();
    case["events"] = json!(names);
}

async fn compare(sdk: Sdk) {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    simulator.script(&script()).await;
    let serin = Serin::up(&world, &documents(&[simulator.address], &routes())).await;

    let direct = sdk.transcript(simulator.address, PROVIDER_SECRET).await;
    let mut asked_directly = Vec::new();
    for (model, _, _) in ASKED {
        asked_directly.push(simulator.count(model).await);
    }
    // Set anew, the script counts and draws from the start again.
    simulator.script(&script()).await;
    simulator.forget().await;
    let through = sdk.transcript(serin.traffic, CALLER_SECRET).await;

    assert_eq!(direct.len(), through.len(), "not the same cases");
    assert!(
        direct.len() >= 20,
        "that is not the whole script: {}",
        direct.len()
    );
    let mut differ = Vec::new();
    for (case, seen) in direct.iter().zip(&through) {
        let (expected, seen) = (promised(case), relayed(seen));
        if let Some(difference) = difference("", &expected, &seen) {
            differ.push(format!("{}: {difference}", case["name"]));
        }
    }
    for ((model, without, with), directly) in ASKED.into_iter().zip(asked_directly) {
        let through = simulator.count(model).await;
        if (directly, through) != (without, with) {
            differ.push(format!(
                "{model}: the provider was asked {directly} and {through} times"
            ));
        }
    }
    let count = differ.len();
    assert!(
        differ.is_empty(),
        "{sdk:?} SDK, {count} differ:\n  {}",
        differ.join("\n  ")
    );
}

/// The first place at which two values differ, with both.
fn difference(place: &str, left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let pairs = ours.iter().zip(theirs).enumerate();
            pairs
                .filter_map(|(at, (a, b))| difference(&format!("{place}/{at}"), a, b))
                .next()
        }
        (Value::Object(ours), Value::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            let mut pairs = ours
                .iter()
                .map(|(name, value)| (name, value, &theirs[name]));
            pairs.find_map(|(name, a, b)| difference(&format!("{place}/{name}"), a, b))
        }
        _ if left == right => None,
        _ => Some(format!("at {place}: expected {left}, got {right}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk() {
    compare(Sdk::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk() {
    compare(Sdk::JavaScript).await;
}
