//! Answers as tables: `shapes` says what good ones look like, `faults` what becomes of them.
//!
//! Here is what both need: an ask, a model, and ways to look into a plan.

mod faults;
mod shapes;

use serde_json::Value;

use super::*;

fn ask(operation: Operation, body: &str) -> Ask {
    Ask::read(operation, body.as_bytes()).unwrap()
}

fn chat(more: &str) -> Ask {
    ask(Operation::Chat, &format!(r#"{{"model":"m"{more}}}"#))
}

fn act(model: Model) -> Act {
    let script = Script {
        fixed_ids: true,
        ..Script::default()
    };
    Act::new("m", &model, &script)
}

fn short() -> Model {
    Model {
        answer_tokens: 2,
        ..Model::default()
    }
}

fn body(plan: &Plan) -> String {
    let text = String::from_utf8_lossy(&plan.bytes).into_owned();
    text.split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default()
}

fn json_of(plan: &Plan) -> Value {
    serde_json::from_str(&body(plan)).unwrap()
}

/// The `data:` of each chunk that holds one.
fn events(plan: &Plan) -> Vec<String> {
    let all = body(plan);
    let data = all.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(str::to_owned).collect()
}

const ID: &str = "e220a8397b1dcdaf";
