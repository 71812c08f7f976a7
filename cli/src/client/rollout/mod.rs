//! `serin rollout …`: one rollout is found, shown, or asked for something.
//!
//! What is shown is what the control plane tells: evidence, what is waited for and which verbs are
//! possible are its words. A verb goes once (`Idempotency-Key`), whatever the network does.
//! ```text
//!   start    a plan of a file          planned  what it would take    started  what came of it
//!   follow   until it has ended        explain  the evidence          frame    and as a live view
//!   history  what was done, by whom    verify   whether that is true  words    a state, in words
//! ```

mod explain;
mod follow;
mod frame;
mod history;
mod planned;
mod start;
mod started;
mod verify;
mod words;

use awc::http::{Method, StatusCode, header::HeaderName};
use serde_json::{Map, Value, json};

use super::{Api, Call, list::list};
use crate::{
    args::{
        remote::Form,
        rollout::{Gate, List, Look, Manner, Promote, RolloutVerb, Status, Which},
    },
    exit::Failed,
    output,
    secret::random_word,
    tree::Tree,
};

/// Runs one verb to its end.
pub(crate) async fn run(verb: &RolloutVerb) -> Result<(), Failed> {
    let nothing = json!({});
    match verb {
        RolloutVerb::Start(start) => start::start(start).await,
        RolloutVerb::List(list) => all(list).await,
        RolloutVerb::Get(look) => get(look).await,
        RolloutVerb::Status(status) => stand(status).await,
        RolloutVerb::Watch(watch) => follow::watch(watch).await,
        RolloutVerb::Explain(look) => explain::explain(look).await,
        RolloutVerb::History(history) => history::history(history).await,
        RolloutVerb::Gate(gate) => set(gate).await,
        RolloutVerb::Pause(pause) => {
            let own = json!({ "suspend": pause.suspend });
            ask("pause", &pause.which, &pause.manner, own).await
        }
        RolloutVerb::Promote(promote) => pass(promote).await,
        RolloutVerb::Resume(plain) => ask("resume", &plain.which, &plain.manner, nothing).await,
        RolloutVerb::Abort(plain) => ask("abort", &plain.which, &plain.manner, nothing).await,
        RolloutVerb::Undo(plain) => ask("undo", &plain.which, &plain.manner, nothing).await,
        RolloutVerb::Retry(plain) => ask("retry", &plain.which, &plain.manner, nothing).await,
        RolloutVerb::SkipStep(plain) => {
            ask("skip-step", &plain.which, &plain.manner, nothing).await
        }
    }
}

async fn pass(promote: &Promote) -> Result<(), Failed> {
    let own = json!({ "full": promote.full });
    ask("promote", &promote.which, &promote.manner, own).await
}

/// `POST /rollouts/{id}/<word>`
async fn ask(word: &str, which: &Which, manner: &Manner, own: Value) -> Result<(), Failed> {
    let api = Api::new(&manner.answer.server)?;
    let id = find(&api, which).await?;
    let path = format!("/rollouts/{id}/{word}");
    let call = Call::new(Method::POST, &path)
        .header(HeaderName::from_static("idempotency-key"), random_word());
    carry_out(&api, call, manner, own).await
}

/// `PUT /rollouts/{id}/gates/{gate}`
async fn set(gate: &Gate) -> Result<(), Failed> {
    let api = Api::new(&gate.manner.answer.server)?;
    let which = Which {
        route: gate.route.clone(),
        id: gate.id.clone(),
    };
    let id = find(&api, &which).await?;
    let path = format!("/rollouts/{id}/gates/{}", gate.gate);
    let own = json!({ "open": gate.open });
    carry_out(&api, Call::new(Method::PUT, &path), &gate.manner, own).await
}

async fn carry_out(api: &Api, call: Call<'_>, manner: &Manner, own: Value) -> Result<(), Failed> {
    let call = call.json(body(manner, own).to_string());
    let state = api.call(&call).await?.tree()?;
    print(&state, manner.answer.output)?;
    output::note(format_args!("{}", words::told(&state)));
    Ok(())
}

fn body(manner: &Manner, own: Value) -> Value {
    let mut body = match own {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    if let Some(reason) = &manner.reason {
        body.insert("reason".to_owned(), reason.as_str().into());
    }
    if let Some(seq) = manner.expected_seq {
        body.insert("expectedSeq".to_owned(), seq.into());
    }
    Value::Object(body)
}

/// The id of the rollout that is meant.
async fn find(api: &Api, which: &Which) -> Result<String, Failed> {
    let route = &which.route;
    let Some(id) = &which.id else {
        let newest = api.get(&format!("/rollouts?route={route}&limit=1")).await?;
        let newest = newest.tree()?;
        let first = newest.get("items").and_then(|items| items.items().first());
        if let Some(id) = first.and_then(|state| state.get("rolloutId")?.text()) {
            return Ok(id.to_owned());
        }
        // Where there is no such route, that is what is wrong.
        if let Err(refused) = api.get(&format!("/routes/{route}")).await {
            return Err(match refused.status() {
                Some(StatusCode::NOT_FOUND) => {
                    Failed::NotFound(format!("there is no route {route}"))
                }
                _ => refused.into(),
            });
        }
        let way = "`serin rollout start -f FILE` starts one";
        return Err(Failed::NotFound(format!(
            "route {route} has no rollout: {way}"
        )));
    };
    let state = api.get(&format!("/rollouts/{id}")).await?.tree()?;
    match state.get("route").and_then(Tree::text) {
        Some(of) if of != route => {
            let text = format!("route {route} has no rollout {id}: it is of route {of}");
            Err(Failed::NotFound(text))
        }
        _ => Ok(id.clone()),
    }
}

/// `serin rollout list`
async fn all(asked: &List) -> Result<(), Failed> {
    let api = Api::new(&asked.answer.server)?;
    let mut listed = list(&api, "rollouts", None).await?;
    if let Some(phase) = &asked.phase {
        let is_it = |state: &Tree| state.get("phase").and_then(Tree::text) == Some(phase);
        listed.items.retain(is_it);
    }
    output::print(&match asked.answer.output {
        Form::Json => output::json(&listed.tree())?,
        Form::Yaml => output::yaml(&listed.tree())?,
        Form::Table => words::table(&listed.items),
    })?;
    for unreadable in &listed.unreadable {
        output::note(format_args!("cannot be read: {unreadable}"));
    }
    Ok(())
}

/// `serin rollout get`
async fn get(look: &Look) -> Result<(), Failed> {
    let api = Api::new(&look.answer.server)?;
    let id = find(&api, &look.which).await?;
    let state = api.get(&format!("/rollouts/{id}")).await?.tree()?;
    match look.answer.output {
        Form::Table => output::print(&words::page(&state)),
        form => print(&state, form),
    }
}

/// `serin rollout status`
async fn stand(status: &Status) -> Result<(), Failed> {
    let api = Api::new(&status.answer.server)?;
    let id = find(&api, &status.which).await?;
    if status.watch {
        return follow::status(&api, &id, status).await;
    }
    let state = api.get(&format!("/rollouts/{id}")).await?.tree()?;
    print(&state, status.answer.output)?;
    for said in [words::by_hand(&state), words::because(&state)] {
        if !said.is_empty() {
            output::note(said);
        }
    }
    Ok(())
}

fn print(state: &Tree, form: Form) -> Result<(), Failed> {
    output::print(&match form {
        Form::Json => output::json(state)?,
        Form::Yaml => output::yaml(state)?,
        Form::Table => words::table(std::slice::from_ref(state)),
    })
}

#[cfg(test)]
mod tests;
