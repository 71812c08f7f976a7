//! `GET /v1/models` and `GET /v1/models/{name}`.
//!
//! The list has the models that the script names; a name may be asked for one by one as long as
//! somebody would answer for it.

use serde_json::{Value, json};

use crate::answer::{self, Plan, Refusal};
use crate::stage::Stage;

pub(crate) fn answer(stage: &Stage, path: &str) -> Plan {
    match path.strip_prefix("/v1/models/") {
        None => {
            let data: Vec<Value> = stage.script.models.keys().map(|name| model(name)).collect();
            answer::json(200, &json!({"object": "list", "data": data}).to_string())
        }
        Some(name) if !name.is_empty() && stage.knows(name) => {
            answer::json(200, &model(name).to_string())
        }
        Some(_) => answer::refuse(Refusal::UnknownModel),
    }
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": answer::CREATED, "owned_by": "simulator"})
}
