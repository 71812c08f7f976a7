//! Documents on their way to `POST /apply`, in as many parts as it takes.

use std::{borrow::Cow, collections::VecDeque};

use awc::http::{Method, StatusCode, header::HeaderName};

use super::{Api, Call, Problem, api::Refused};
use crate::{
    bundle::{self, Bundle, Placed},
    exit::Failed,
    secret::random_word,
    traffic_words,
    tree::Tree,
};

/// How documents are to be taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Submission<'a> {
    pub(crate) dry_run: bool,
    /// The files' traffic in place of the live one.
    pub(crate) traffic: bool,
    pub(crate) reason: Option<&'a str>,
}

/// What came of all parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Submitted {
    /// `{key, before, after}` of each document that changed.
    pub(crate) changes: Vec<Tree>,
    /// In words: live traffic that was left alone, and what the control plane warns of.
    pub(crate) notes: Vec<String>,
    /// Of the last part that changed anything.
    pub(crate) revision: Option<String>,
}

/// Sends every document.
///
/// # Errors
/// The first part that is refused, its faults with file, line and column, and what was done before.
pub(crate) async fn submit(
    api: &Api,
    bundle: &Bundle,
    how: &Submission<'_>,
) -> Result<Submitted, Failed> {
    let mut waiting: VecDeque<&[Placed]> = bundle.parts().into();
    let mut done = 0;
    let mut submitted = Submitted {
        notes: bundle
            .warnings
            .iter()
            .map(|fault| format!("warning: {fault}"))
            .collect(),
        ..Submitted::default()
    };
    while let Some(part) = waiting.pop_front() {
        // What earlier parts hold is there by now, except in a dry run.
        let sent = if how.dry_run {
            Cow::Owned(bundle.with_needs(part))
        } else {
            Cow::Borrowed(part)
        };
        match send(api, &sent, how).await {
            Ok(answer) => {
                done += part.len();
                submitted.add(&answer, bundle, &sent);
            }
            // What a change may hold is the server's to know: its record of it must fit too.
            Err(refused) if is_too_large(&refused) && part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.push_front(second);
                waiting.push_front(first);
            }
            Err(refused) => return Err(failed(refused, bundle, &sent, (done, how.dry_run))),
        }
    }
    Ok(submitted)
}

async fn send(api: &Api, part: &[Placed], how: &Submission<'_>) -> Result<Tree, Refused> {
    let path = format!("/apply?dryRun={}&traffic={}", how.dry_run, how.traffic);
    let call = Call::new(Method::POST, &path)
        .header(HeaderName::from_static("idempotency-key"), random_word())
        .json(bundle::body(part, how.reason));
    let answer = api.call(&call).await?;
    let unreadable = |_| Refused::Unreachable("the answer to the apply is not JSON".to_owned());
    answer.tree().map_err(unreadable)
}

fn is_too_large(refused: &Refused) -> bool {
    refused.status() == Some(StatusCode::PAYLOAD_TOO_LARGE)
}

fn failed(refused: Refused, bundle: &Bundle, part: &[Placed], sent: (usize, bool)) -> Failed {
    let refused = match refused {
        Refused::Problem(problem) => Refused::Problem(located(problem, bundle, part)),
        other => other,
    };
    let mut failed = Failed::from(refused);
    let (done, dry_run) = sent;
    if done > 0 && !dry_run {
        let more = format!(
            "\n{done} of {} documents were applied before: send all again once this is right",
            bundle.documents.len()
        );
        match &mut failed {
            Failed::Error(text)
            | Failed::Conflict(text)
            | Failed::NotFound(text)
            | Failed::TimedOut(text)
            | Failed::Rollout(text)
            | Failed::Usage(text) => text.push_str(&more),
            Failed::Said | Failed::Unread => {}
        }
    }
    failed
}

/// The same problem, each fault with the line that caused it.
fn located(mut problem: Box<Problem>, bundle: &Bundle, part: &[Placed]) -> Box<Problem> {
    for told in &mut problem.errors {
        let located = bundle.locate(part, (&told.pointer, &told.code, &told.message));
        if located.place.is_some() {
            told.message = located.to_string();
            told.pointer.clear();
        }
    }
    problem
}

impl Submitted {
    fn add(&mut self, answer: &Tree, bundle: &Bundle, part: &[Placed]) {
        let list = |name| answer.get(name).map(Tree::items).unwrap_or_default();
        for change in list("changes") {
            // A provider may be needed by several parts of a dry run.
            if !self.changes.contains(change) {
                self.changes.push(change.clone());
            }
        }
        self.notes.extend(list("trafficKept").iter().map(kept));
        let text = |tree: &Tree, field| {
            tree.get(field)
                .and_then(Tree::text)
                .unwrap_or_default()
                .to_owned()
        };
        for warning in list("warnings") {
            let [pointer, code, message] =
                ["pointer", "code", "message"].map(|field| text(warning, field));
            let located = bundle.locate(part, (&pointer, &code, &message));
            if !bundle.tells(&located) {
                self.notes.push(format!("warning: {located}"));
            }
        }
        if !list("changes").is_empty() {
            self.revision = answer.get("revision").map(Tree::to_string);
        }
    }
}

fn kept(kept: &Tree) -> String {
    let null = Tree::Null;
    let [route, live, written] =
        ["route", "live", "written"].map(|field| kept.get(field).unwrap_or(&null));
    let route = route.to_string();
    format!(
        "route {route}: its live traffic is left alone ({}); the file has: {}\n  to take the \
         file's: apply with --traffic, or {}",
        traffic_words::summary(live),
        traffic_words::summary(written),
        traffic_words::command(&route, live, written)
    )
}
