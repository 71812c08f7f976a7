//! `/__script` and `/__journal`: the simulator's own addresses.
//!
//! No fault and no key applies here, and nothing of it is noted in the journal. Whoever can reach
//! the listener can change the script, which is why `serin simulate` listens on loopback.

use serde_json::json;

use crate::answer::{self, Plan, Refusal};
use crate::script::Script;
use crate::server::Shared;

pub(crate) fn answer(shared: &Shared, method: &str, path: &str, body: &[u8]) -> Plan {
    match (method, path) {
        ("GET", "/__script") => tell(&shared.stage().script),
        ("PUT" | "POST", "/__script") => match set(shared, body) {
            Ok(()) => tell(&shared.stage().script),
            Err(why) => answer::json(400, &json!({"error": {"message": why}}).to_string()),
        },
        ("GET", "/__journal") => tell(&shared.journal.requests()),
        ("DELETE", "/__journal") => {
            shared.journal.clear();
            answer::json(200, "{}")
        }
        ("GET", "/__journal/summary") => tell(&shared.journal.counts()),
        (_, "/__script" | "/__journal" | "/__journal/summary") => {
            answer::refuse(Refusal::WrongMethod)
        }
        _ => answer::refuse(Refusal::UnknownPath),
    }
}

fn set(shared: &Shared, body: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|_| "script is not UTF-8".to_owned())?;
    let script = Script::parse(text).map_err(|fault| fault.to_string())?;
    shared.set_script(script).map_err(|fault| fault.to_string())
}

fn tell(value: &impl serde::Serialize) -> Plan {
    match serde_json::to_string(value) {
        Ok(text) => answer::json(200, &text),
        Err(fault) => answer::json(
            500,
            &json!({"error": {"message": fault.to_string()}}).to_string(),
        ),
    }
}
