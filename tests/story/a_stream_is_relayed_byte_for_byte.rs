//! What the provider sends is what the caller reads, byte for byte, and the other way round.
//!
//! Only what the contract names may differ: the model's name on the way in, and on the way out the
//! usage-only frame of a stream whose caller did not ask for it.

use serde_json::json;
use serin_tests::client::{Answer, Request, ask};
use serin_tests::serin::PROVIDER_SECRET;
use serin_tests::{Serin, Simulator, World};

use crate::documents::one_target;

const CHAT: &str = "/v1/chat/completions";

/// A body as nobody would write it: spacing, numbers, escapes, fields nobody knows, a field twice.
const ODD: &str = concat!(
    "{ \"z\" :1.50e+01,\n\t\"unknown\":{\"b\":[ 1,2 ,{}],\"a\":null} , \"model\": \"chat\",",
    "\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e4 \u{e4} \\/\"}],",
    "\"temperature\":0.70,\"seed\":9007199254740993,\"dup\":1,\"dup\":2}\n ",
);
const FIRST: &str = "\"z\" :1.50e+01";

/// Manners of a provider; each must come through unharmed.
fn manners() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("plain", json!({"answerTokens": 40})),
        (
            "without a role delta",
            json!({"answerTokens": 5, "roleDelta": false}),
        ),
        (
            "reasoning first",
            json!({"answerTokens": 5, "reasoning": 7}),
        ),
        (
            "large events",
            json!({"answerTokens": 20, "padding": 20_000}),
        ),
        (
            "cut anywhere",
            json!({"answerTokens": 10, "trickle": {"bytes": 7}}),
        ),
        (
            "characters of many bytes",
            json!({"text": "ä 漢字 🦀\u{2028} \"quoted\" \\n end"}),
        ),
        (
            "no usage at all",
            json!({"answerTokens": 5, "noUsage": true}),
        ),
        (
            "slowly",
            json!({"answerTokens": 10, "tokensPerSecond": 50.0, "firstToken": "50ms"}),
        ),
    ]
}

/// What options a caller may write, and whether it asks for usage in its stream.
const OPTIONS: [(&str, bool); 4] = [
    (r#""stream":true"#, false),
    (
        r#""stream":true,"stream_options":{"include_usage":false}"#,
        false,
    ),
    (
        r#""stream":true,"stream_options":{"include_usage":true}"#,
        true,
    ),
    (r#""stream":false"#, true),
];

/// What the provider sends to Serin. A stream is always asked for with its usage: that is our
/// splice.
async fn sent(simulator: &Simulator, options: &str, asked: bool) -> Answer {
    let options = if asked { options } else { OPTIONS[2].0 };
    let body = format!(r#"{{"model":"model","messages":[],{options}}}"#);
    let request = Request::post(CHAT, body).key(PROVIDER_SECRET);
    ask(simulator.address, &request).await
}

/// The bytes of a stream without the frame that is nothing but usage.
fn without_usage(stream: &str) -> String {
    let is_usage = |event: &&str| event.contains("\"choices\":[]") && event.contains("\"usage\":{");
    stream
        .split_inclusive("\n\n")
        .filter(|event| !is_usage(event))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_answers_are_the_providers_bytes() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    for (manner, model) in manners() {
        let script = json!({"fixedIds": true, "models": {"model": model}});
        for (options, asked) in OPTIONS {
            let place = format!("{manner}, {options}");
            // Set anew before each of the two, so that both are its first request.
            simulator.script(&script).await;
            let expected = sent(&simulator, options, asked).await;
            let ours = format!(r#"{{"model":"chat","messages":[],{options}}}"#);
            simulator.script(&script).await;
            let relayed = serin.ask(Request::post(CHAT, ours)).await;
            assert_eq!(expected.status(), 200, "{place}: {}", expected.text());
            assert_eq!(relayed.status(), 200, "{place}: {}", relayed.text());
            if asked {
                assert_eq!(relayed.body, expected.body, "{place}:\n{}", relayed.text());
            } else {
                assert_eq!(relayed.text(), without_usage(&expected.text()), "{place}");
            }
            assert!(relayed.whole, "{place}: cut");
            let kind = "content-type";
            assert_eq!(relayed.header(kind), expected.header(kind), "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_wrote_arrives_untouched() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    let streamed = ODD.replace(FIRST, "\"stream\": true");
    let asked = ODD.replace(
        FIRST,
        r#""stream":true,"stream_options":{"include_usage":true}"#,
    );
    let to_model = |body: &str| body.replace("\"chat\"", "\"model\"");
    for (sent, path) in [
        (ODD, CHAT),
        (ODD, "/v1/completions"),
        (&asked, CHAT),
        (ODD, "/v1/other/thing"),
    ] {
        let answer = serin.ask(Request::post(path, sent)).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        let seen = simulator.last().await;
        assert_eq!(
            (seen.path.as_str(), seen.body.as_str()),
            (path, to_model(sent).as_str())
        );
    }
    // Asked for by us, not by the caller: the one splice beside the model's name.
    let answer = serin.ask(Request::post(CHAT, streamed.as_str())).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = simulator.last().await.body;
    let mut wanted: serde_json::Value = serde_json::from_str(&to_model(&streamed)).expect("JSON");
    wanted["stream_options"] = json!({"include_usage": true});
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&seen).ok(),
        Some(wanted),
        "{seen}"
    );
    let unchanged =
        &ODD[ODD.find("\"messages\"").expect("it is there")..ODD.rfind('}').expect("so")];
    assert!(seen.contains(unchanged), "{seen}");
}
