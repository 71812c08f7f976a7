//! `serin rollout start`: the plans of a file, each fault with its line.

use std::{
    fs,
    io::{self, Read as _},
};

use awc::http::{Method, StatusCode, header::HeaderName};
use serde_json::Value;
use serin_proto::{
    address::Networks,
    v1,
    validate::Context,
    yaml::{self, Places},
};

use super::{planned, print, words};
use crate::{
    args::{remote::Form, rollout::Start},
    bundle::Located,
    client::{
        Api, Call,
        api::{Answer, Refused},
    },
    exit::Failed,
    output,
    secret::random_word,
    tree::Tree,
    validate::uncompiled,
};

/// A file and its plans.
struct Plans {
    name: String,
    text: String,
    rollouts: Vec<v1::Rollout>,
}

pub(super) async fn start(start: &Start) -> Result<(), Failed> {
    let plans = Plans::read(start)?;
    let api = Api::new(&start.server)?;
    let (mut states, mut done) = (Vec::new(), Vec::new());
    for (index, rollout) in plans.rollouts.iter().enumerate() {
        match send(&api, rollout, start).await {
            Ok(answer) => {
                let state = answer.tree()?;
                if !start.dry_run {
                    done.push(begun(&state, answer.status));
                }
                states.push(state);
            }
            Err(refused) => {
                done.iter().for_each(|line| eprintln!("{line}"));
                return Err(plans.located(refused, index).into());
            }
        }
    }
    for state in &states {
        if start.dry_run {
            foretold(state, start.output)?;
        } else if start.output != Form::Table {
            print(state, start.output)?;
        }
    }
    if !start.dry_run && start.output == Form::Table {
        output::print(&words::table(&states))?;
    }
    done.iter().for_each(|line| eprintln!("{line}"));
    Ok(())
}

async fn send(api: &Api, rollout: &v1::Rollout, start: &Start) -> Result<Answer, Refused> {
    let mut body = serde_json::to_value(rollout).unwrap_or_default();
    if let (Some(reason), Value::Object(body)) = (&start.reason, &mut body) {
        body.insert("reason".to_owned(), reason.as_str().into());
    }
    let path = format!(
        "/routes/{}/rollouts?dryRun={}",
        rollout.route, start.dry_run
    );
    let call = Call::new(Method::POST, &path)
        .header(HeaderName::from_static("idempotency-key"), random_word())
        .json(body.to_string());
    api.call(&call).await
}

/// What has begun, and how to go on.
fn begun(state: &Tree, status: StatusCode) -> String {
    let [id, route] = ["rolloutId", "route"].map(|field| words::text(state, field));
    let what = words::what(state);
    if status == StatusCode::CREATED {
        format!(
            "{what}: rollout {id} is started; routers take it over, then its steps begin\n  watch \
             it:     serin rollout watch {route}\n  or wait:      serin rollout status {route} \
             --watch\n  take it back: serin rollout abort {route}"
        )
    } else {
        let place = words::place(state);
        format!("{what}: rollout {id} runs with this plan: {place}")
    }
}

/// What a dry run tells.
fn foretold(answer: &Tree, form: Form) -> Result<(), Failed> {
    let plan = answer.get("planned").filter(|plan| **plan != Tree::Null);
    for warning in answer.get("warnings").map(Tree::items).unwrap_or_default() {
        let [pointer, message] = ["pointer", "message"].map(|field| words::text(warning, field));
        eprintln!("warning: {pointer}: {message}");
    }
    for problem in plan.map(planned::problems).unwrap_or_default() {
        eprintln!("warning: {problem}");
    }
    output::print(&match (form, plan) {
        (Form::Json, _) => output::json(answer)?,
        (Form::Yaml, _) => output::yaml(answer)?,
        (Form::Table, Some(plan)) => planned::table(plan),
        (Form::Table, None) => String::new(),
    })?;
    eprintln!("the plan is good; nothing was started");
    Ok(())
}

impl Plans {
    /// # Errors
    /// Every fault of the file, one a line.
    fn read(start: &Start) -> Result<Self, Failed> {
        let name = start.file.display().to_string();
        let (name, read) = if name == "-" {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text).map(|_| text);
            ("stdin".to_owned(), read)
        } else {
            (name, fs::read_to_string(&start.file))
        };
        let unreadable = |error| Failed::because(format!("cannot read {name}: {error}"));
        let text = read.map_err(unreadable)?;
        Self::of(name, text)
    }

    fn of(name: String, text: String) -> Result<Self, Failed> {
        // Which private ranges are allowed is the server's to say.
        let everywhere = Networks::parse(&["0.0.0.0/0", "::/0"])
            .map_err(|(_, bad)| Failed::because(bad.to_string()))?;
        let context = Context {
            networks: Some(everywhere),
            now: None,
        };
        let lines = |faults: Vec<serin_proto::Fault>| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failed::because(lines.join("\n"))
        };
        let read = yaml::read_part(&name, &text, &context).map_err(lines)?;
        let faults = uncompiled(&name, &text, &read.file);
        if !faults.is_empty() {
            return Err(lines(faults));
        }
        for warning in &read.warnings {
            eprintln!("warning: {warning}");
        }
        if read.file.rollouts.is_empty() {
            return Err(Failed::because(format!("{name} has no rollouts")));
        }
        Ok(Self {
            name,
            text,
            rollouts: read.file.rollouts,
        })
    }

    /// The same refusal, each fault with the line that caused it.
    fn located(&self, refused: Refused, index: usize) -> Refused {
        let Refused::Problem(mut problem) = refused else {
            return refused;
        };
        let places = Places::of(&self.text);
        for told in &mut problem.errors {
            let pointer = format!("/rollouts/{index}{}", told.pointer);
            let place = places.as_ref().map(|places| places.find(&pointer));
            let located = Located {
                place: place.map(|(line, column)| (self.name.clone(), line, column)),
                pointer,
                code: told.code.clone(),
                message: told.message.clone(),
            };
            told.message = located.to_string();
            told.pointer.clear();
        }
        Refused::Problem(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "rollouts:\n  - route: chat\n    candidate: claude\n    steps:\n      - \
                        {weight: 5}\n      - {weight: 3}\n";

    #[test]
    fn faults_of_a_file_have_their_lines_and_a_file_without_rollouts_starts_none() {
        let said = |text: &str| {
            let read = Plans::of("a.yaml".to_owned(), text.to_owned());
            read.err().map(|failed| failed.to_string())
        };
        let falls = said(FILE).unwrap();
        assert!(falls.starts_with("a.yaml:6:"), "{falls}");
        assert!(falls.contains("/rollouts/0/steps/1/weight"), "{falls}");
        let unknown = said(&FILE.replace("steps", "stpes")).unwrap();
        assert!(unknown.starts_with("a.yaml:4:"), "{unknown}");
        assert_eq!(said("routes: []\n").unwrap(), "a.yaml has no rollouts");
        // The route may be in the store.
        assert_eq!(said(&FILE.replace("weight: 3", "weight: 25")), None);
    }
}
