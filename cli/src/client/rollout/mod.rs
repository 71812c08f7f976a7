//! `serin rollout …`: one rollout is found, shown, or asked for something.
//!
//! What is shown is what the control plane tells: evidence, what is waited for and which verbs are
//! possible are its words. A verb goes once (`Idempotency-Key`), whatever the network does.
//! ```text
//!   start    a plan of a file          planned  what it would take          words  a state, in words
//!   follow   until it has ended        explain  the evidence as a table     frame   and as a view
//!   history  records, verified
//! ```

mod explain;
mod follow;
mod frame;
mod history;
mod planned;
mod start;
mod words;

use awc::http::{Method, header::HeaderName};
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
    let api = Api::new(&manner.server)?;
    let id = find(&api, which).await?;
    let path = format!("/rollouts/{id}/{word}");
    let call = Call::new(Method::POST, &path)
        .header(HeaderName::from_static("idempotency-key"), random_word());
    carry_out(&api, call, manner, own).await
}

/// `PUT /rollouts/{id}/gates/{gate}`
async fn set(gate: &Gate) -> Result<(), Failed> {
    let api = Api::new(&gate.manner.server)?;
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
    print(&state, manner.output)?;
    eprintln!("{}", words::told(&state));
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
        let id = first.and_then(|state| state.get("rolloutId")?.text());
        let none = || {
            let way = "`serin rollout start -f FILE` starts one";
            Failed::NotFound(format!("route {route} has no rollout: {way}"))
        };
        return id.map(str::to_owned).ok_or_else(none);
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
    let api = Api::new(&asked.server)?;
    let mut listed = list(&api, "rollouts", None).await?;
    if let Some(phase) = &asked.phase {
        let is_it = |state: &Tree| state.get("phase").and_then(Tree::text) == Some(phase);
        listed.items.retain(is_it);
    }
    output::print(&match asked.output {
        Form::Json => output::json(&listed.tree())?,
        Form::Yaml => output::yaml(&listed.tree())?,
        Form::Table => words::table(&listed.items),
    })?;
    for unreadable in &listed.unreadable {
        eprintln!("cannot be read: {unreadable}");
    }
    Ok(())
}

/// `serin rollout get`
async fn get(look: &Look) -> Result<(), Failed> {
    let api = Api::new(&look.server)?;
    let id = find(&api, &look.which).await?;
    let state = api.get(&format!("/rollouts/{id}")).await?.tree()?;
    match look.output {
        Form::Table => output::print(&words::page(&state)),
        form => print(&state, form),
    }
}

/// `serin rollout status`
async fn stand(status: &Status) -> Result<(), Failed> {
    let api = Api::new(&status.server)?;
    let id = find(&api, &status.which).await?;
    if status.watch {
        return follow::status(&api, &id, status).await;
    }
    let state = api.get(&format!("/rollouts/{id}")).await?.tree()?;
    print(&state, status.output)
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
