//! `serin rollout start`: the plans of a file, each fault with its line.

use std::{
    fs,
    io::{self, Read as _},
};

use awc::http::{Method, header::HeaderName};
use serde_json::Value;
use serin_proto::{
    address::Networks,
    v1,
    validate::Context,
    yaml::{self, Places},
};

use super::{planned, print, started, words};
use crate::{
    args::{remote::Form, rollout::Start},
    bundle::Located,
    client::{
        Api, Call,
        api::{Answer, Refused},
    },
    exit::Failed,
    fit, output,
    secret::random_word,
    tree::Tree,
    validate::uncompiled,
};

/// A file and its plans.
struct Plans {
    name: String,
    text: String,
    rollouts: Vec<v1::Rollout>,
    /// Told already.
    warnings: Vec<String>,
}

pub(super) async fn start(start: &Start) -> Result<(), Failed> {
    let plans = Plans::read(start)?;
    let api = Api::new(&start.answer.server)?;
    let (mut states, mut done) = (Vec::new(), Vec::new());
    for (index, rollout) in plans.rollouts.iter().enumerate() {
        match send(&api, rollout, start).await {
            Ok(answer) => {
                let state = answer.tree()?;
                if !start.dry_run {
                    done.push(started::begun(&state, answer.status));
                }
                states.push(state);
            }
            Err(refused) => {
                done.iter().for_each(output::note);
                return Err(plans.located(refused, index).into());
            }
        }
    }
    for (index, state) in states.iter().enumerate() {
        if start.dry_run {
            foretold(&plans, index, state, start.answer.output)?;
        } else if start.answer.output != Form::Table {
            print(state, start.answer.output)?;
        }
    }
    if !start.dry_run && start.answer.output == Form::Table {
        output::print(&words::table(&states))?;
    }
    done.iter().for_each(output::note);
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

/// What a dry run tells.
fn foretold(plans: &Plans, index: usize, answer: &Tree, form: Form) -> Result<(), Failed> {
    let plan = answer.get("planned").filter(|plan| **plan != Tree::Null);
    for warning in answer.get("warnings").map(Tree::items).unwrap_or_default() {
        let [pointer, code, message] =
            ["pointer", "code", "message"].map(|field| words::text(warning, field));
        let located = plans.locate(index, &pointer, &code, &message).to_string();
        // Those of the file were told when it was read.
        if !plans.warnings.contains(&located) {
            output::note(format_args!("warning: {located}"));
        }
    }
    output::print(&match (form, plan) {
        (Form::Json, _) => output::json(answer)?,
        (Form::Yaml, _) => output::yaml(answer)?,
        (Form::Table, Some(plan)) => planned::table(plan),
        (Form::Table, None) => String::new(),
    })?;
    for line in started::foretold(answer) {
        output::note(line);
    }
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
            Failed::because(fit::first_of(lines).join("\n"))
        };
        let read = yaml::read_part(&name, &text, &context).map_err(lines)?;
        let faults = uncompiled(&name, &text, &read.file);
        if !faults.is_empty() {
            return Err(lines(faults));
        }
        let warnings: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
        for warning in &warnings {
            output::note(format_args!("warning: {warning}"));
        }
        if read.file.rollouts.is_empty() {
            return Err(Failed::because(format!("{name} has no rollouts")));
        }
        Ok(Self {
            name,
            text,
            rollouts: read.file.rollouts,
            warnings,
        })
    }

    /// What is told of a plan, with the line that caused it.
    fn locate(&self, index: usize, pointer: &str, code: &str, message: &str) -> Located {
        let pointer = format!("/rollouts/{index}{pointer}");
        let places = Places::of(&self.text);
        let place = places.map(|places| places.find(&pointer));
        Located {
            place: place.map(|(line, column)| (self.name.clone(), line, column)),
            pointer,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// The same refusal, each fault with the line that caused it.
    fn located(&self, refused: Refused, index: usize) -> Refused {
        let Refused::Problem(mut problem) = refused else {
            return refused;
        };
        for told in &mut problem.errors {
            let located = self.locate(index, &told.pointer, &told.code, &told.message);
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
        let twice = format!(
            "{}{}",
            FILE.replace("weight: 3", "weight: 25"),
            &FILE[10..].replace("weight: 3", "weight: 25")
        );
        let twice = said(&twice).unwrap();
        assert!(
            twice.starts_with("a.yaml:7:12: /rollouts/1/route"),
            "{twice}"
        );
        assert!(twice.contains("line 2"), "{twice}");
        // The route may be in the store.
        assert_eq!(said(&FILE.replace("weight: 3", "weight: 25")), None);
    }
}
