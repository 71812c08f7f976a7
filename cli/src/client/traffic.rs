//! `serin traffic`: shows where a route's requests go, or changes it with one call.
//!
//! Read, merged, sent with the ETag that was read: whoever changed it in between is not overwritten.

use awc::http::{Method, StatusCode, header::IF_MATCH};
use serde_json::{Map, Number, Value};

use super::{Api, Call, api::Answer};
use crate::{
    args::remote::{Form, Traffic},
    exit::Failed,
    output,
    tree::Tree,
};

pub(crate) async fn traffic(traffic: &Traffic) -> Result<(), Failed> {
    let api = Api::new(&traffic.answer.server)?;
    let path = format!("/routes/{}/traffic", traffic.route);
    let live = api.get(&path).await?;
    if is_question(traffic) {
        return show(traffic, &live);
    }
    let body = merged(&live.tree()?, traffic)?;
    let call = Call::new(Method::PUT, &path)
        .header(IF_MATCH, live.etag.as_deref().unwrap_or("*"))
        .json(body.to_string());
    match api.call(&call).await {
        Ok(answer) => {
            let revision = answer.revision().unwrap_or("?").to_owned();
            show(traffic, &answer)?;
            output::note(format_args!(
                "route {}: traffic changed at revision {revision}",
                traffic.route
            ));
            Ok(())
        }
        Err(refused) if refused.status() == Some(StatusCode::PRECONDITION_FAILED) => {
            Err(Failed::Conflict(format!(
                "route {}: somebody changed it at the same moment; look at it (serin traffic {}) \
                 and try again",
                traffic.route, traffic.route
            )))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn is_question(traffic: &Traffic) -> bool {
    traffic.set.is_empty() && traffic.canary.is_none() && traffic.fallback.is_none()
}

/// What is live, with what was asked for in its place. A rollout's mark is the rollout's own.
fn merged(live: &Tree, asked: &Traffic) -> Result<Value, Failed> {
    let mut weights = Map::new();
    for (target, percent) in live.get("weights").map(Tree::fields).unwrap_or_default() {
        weights.insert(target.clone(), number(percent.number().unwrap_or_default()));
    }
    for weight in &asked.set {
        weights.insert(weight.target.clone(), number(weight.percent));
    }
    check_sum(&weights, asked)?;
    let mut body = Map::new();
    body.insert("weights".to_owned(), weights.into());
    // At share 0 the weights alone would change nothing: that nobody is the canary any more does.
    let canary = live.get("canary").and_then(Tree::text).unwrap_or_default();
    let is_taken_back = live.get("rollout").is_some()
        && asked.canary.is_none()
        && asked
            .set
            .iter()
            .any(|weight| weight.target == canary && weight.percent == 0.0);
    let nobody = String::new();
    let canary = asked.canary.as_ref().or(is_taken_back.then_some(&nobody));
    let word = |given: Option<&String>, field: &str| match given {
        Some(text) => text.clone(),
        None => live
            .get(field)
            .and_then(Tree::text)
            .unwrap_or_default()
            .to_owned(),
    };
    for (field, text) in [
        ("canary", word(canary, "canary")),
        ("mirror", word(None, "mirror")),
        ("reason", asked.reason.clone().unwrap_or_default()),
    ] {
        if !text.is_empty() {
            body.insert(field.to_owned(), text.into());
        }
    }
    let fallback: Vec<Value> = match &asked.fallback {
        Some(order) => order
            .iter()
            .filter(|name| !name.is_empty())
            .map(|n| n.as_str().into())
            .collect(),
        None => live
            .get("fallback")
            .map(Tree::items)
            .unwrap_or_default()
            .iter()
            .filter_map(Tree::text)
            .map(Value::from)
            .collect(),
    };
    if !fallback.is_empty() {
        body.insert("fallback".to_owned(), fallback.into());
    }
    Ok(body.into())
}

/// The usual mistake: one weight raised and none lowered. The server says no too, but does not know
/// which weights were not meant.
fn check_sum(weights: &Map<String, Value>, asked: &Traffic) -> Result<(), Failed> {
    let percent = |value: &Value| value.as_f64().unwrap_or_default();
    let sum: f64 = weights.values().map(percent).sum();
    let is_named = |target: &String| asked.set.iter().any(|weight| weight.target == *target);
    let others: Vec<String> = weights
        .iter()
        .filter(|(target, value)| !is_named(target) && percent(value) != 0.0)
        .map(|(target, value)| format!("{target}={value}"))
        .collect();
    if (sum - 100.0).abs() < 0.005 || asked.set.is_empty() || others.is_empty() {
        return Ok(());
    }
    Err(Failed::because(format!(
        "the weights of route {} would sum to {sum}, not 100: others keep what they have ({}); \
         name them in --set too",
        asked.route,
        others.join(",")
    )))
}

/// Whole numbers as people write them.
fn number(percent: f64) -> Value {
    let number = Number::from_f64(percent).unwrap_or_else(|| 0.into());
    serde_json::to_value(Tree::Number(number).plain()).unwrap_or_default()
}

fn show(traffic: &Traffic, answer: &Answer) -> Result<(), Failed> {
    let tree = answer.tree()?;
    output::print(&match traffic.answer.output {
        Form::Json => output::json(&tree)?,
        Form::Yaml => output::yaml(&tree)?,
        Form::Table => table(&tree),
    })
}

fn table(traffic: &Tree) -> String {
    let field = |name| traffic.get(name).and_then(Tree::text).unwrap_or_default();
    let fallback = traffic.get("fallback").map(Tree::items).unwrap_or_default();
    let row = |(target, percent): &(String, Tree)| {
        let place = fallback
            .iter()
            .position(|other| other.text() == Some(target));
        let mut notes = Vec::new();
        for word in ["canary", "mirror"] {
            if field(word) == target {
                notes.push(word.to_owned());
            }
        }
        notes.extend(place.map(|place| format!("fallback {}", place + 1)));
        [
            target.clone(),
            percent.plain().to_string(),
            notes.join(", "),
        ]
    };
    let weights = traffic.get("weights").map(Tree::fields).unwrap_or_default();
    let rows: Vec<[String; 3]> = weights.iter().map(row).collect();
    let mut text = output::table(["TARGET", "PERCENT", ""], &rows);
    if let Some(id) = traffic.at("rollout/id").and_then(Tree::text) {
        text += &format!("moved by rollout {id}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::{
        args::{Args, Command, remote::Verb},
        client::scripted,
    };

    fn asked(line: &str) -> Traffic {
        let words = format!("serin traffic chat {line}");
        match Args::parse_from(words.split(' ').map(|word| word.trim_matches('\''))).command {
            Command::Remote(Verb::Traffic(traffic)) => traffic,
            other => panic!("{other:?}"),
        }
    }

    fn live() -> Tree {
        serde_json::from_value(json!({
            "weights": {"gpt": 95.0, "claude": 5.0, "old": 0.0}, "canary": "claude",
            "fallback": ["gpt"], "mirror": "old", "rollout": {"id": "r1", "salt": "s"},
        }))
        .unwrap()
    }

    #[rustfmt::skip]
    #[test]
    fn what_is_not_asked_for_stays_and_a_rollouts_mark_is_not_sent() {
        let table = [
            ("--set gpt=90,claude=10", json!({"weights": {"gpt": 90, "claude": 10, "old": 0}, "canary": "claude", "fallback": ["gpt"], "mirror": "old"})),
            ("--set gpt=94.5,old=0.5 --reason why", json!({"weights": {"gpt": 94.5, "claude": 5, "old": 0.5}, "canary": "claude", "fallback": ["gpt"], "mirror": "old", "reason": "why"})),
            ("--set gpt=100,claude=0", json!({"weights": {"gpt": 100, "claude": 0, "old": 0}, "fallback": ["gpt"], "mirror": "old"})),
            ("--set gpt=100,claude=0 --canary claude", json!({"weights": {"gpt": 100, "claude": 0, "old": 0}, "canary": "claude", "fallback": ["gpt"], "mirror": "old"})),
            ("--canary '' --fallback ''", json!({"weights": {"gpt": 95, "claude": 5, "old": 0}, "mirror": "old"})),
            ("--canary old --fallback claude,gpt", json!({"weights": {"gpt": 95, "claude": 5, "old": 0}, "canary": "old", "fallback": ["claude", "gpt"], "mirror": "old"})),
        ];
        for (line, body) in table {
            assert_eq!(merged(&live(), &asked(line)).unwrap(), body, "{line}");
        }
    }

    #[test]
    fn a_sum_that_others_spoil_is_told_before_it_is_sent() {
        let said = merged(&live(), &asked("--set claude=10"))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("sum to 105") && said.contains("gpt=95"),
            "{said}"
        );
        // All are named: the control plane judges.
        assert!(merged(&live(), &asked("--set gpt=90,claude=9")).is_ok());
    }

    #[test]
    fn traffic_is_a_table_of_targets() {
        assert_eq!(
            table(&live()),
            "TARGET   PERCENT\nclaude   5         canary\ngpt      95        fallback 1\nold      0         mirror\nmoved by rollout r1\n"
        );
    }

    const LIVE: &str = "HTTP/1.1 200 OK\r\netag: \"7\"\r\ncontent-length: 23\r\n\r\n\
                        {\"weights\":{\"gpt\":100}}";
    const STALE: &str = "HTTP/1.1 412 Precondition Failed\r\ncontent-length: 0\r\n\r\n";

    #[actix_rt::test]
    async fn who_changed_it_in_between_is_not_overwritten() {
        let (at, mut questions) = scripted::server(vec![LIVE, STALE]).await;
        let mut asked = asked("--canary gpt");
        asked.answer.server = scripted::asking(at);
        let failed = super::traffic(&asked).await.unwrap_err();
        assert!(matches!(failed, Failed::Conflict(_)), "{failed:?}");
        questions.recv().await.unwrap();
        let put = questions.recv().await.unwrap().to_lowercase();
        assert!(put.contains("if-match: \"7\""), "{put}");
    }
}
