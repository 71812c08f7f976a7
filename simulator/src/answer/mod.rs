//! From what is asked and what the script says to the bytes of an answer. Pure.
//!
//! ```text
//!   Ask + Model + Draws ─▶ fault::choose ─▶ Speaker ─▶ plain | stream ─▶ Rendered ─▶ Plan
//!                              └─ fault::damage ──────────────────────────┘
//! ```
//! Answers without a fault are rendered once per script and copied for each request. Nothing here
//! reads a clock: `created` is the same moment in every answer.

mod fault;
mod ink;
mod plain;
mod plan;
mod refusal;
mod rendered;
mod stream;
mod words;

use std::borrow::Cow;
use std::sync::OnceLock;

pub(crate) use plan::{Plan, Step, Stop};
pub(crate) use refusal::Refusal;

use crate::ask::{Ask, Operation};
use crate::draw::{Draws, Question, mix};
use crate::script::{Failure, Model, Script, ToolCall};
use fault::Fault;
use ink::Ink;
use plan::Pace;
use rendered::{Head, Rendered, error_object};
use std::time::Duration;

/// When every answer was made: an arbitrary moment, always the same.
pub(crate) const CREATED: u64 = 1_735_689_600;
const FINGERPRINT: &str = "fp_simulator";

/// One model as it speaks under a script.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) name: String,
    pub(crate) model: Model,
    seed: u64,
    fixed_ids: bool,
    /// Answers rendered before, by `slot`.
    prepared: [OnceLock<Rendered>; 6],
}

impl Act {
    pub(crate) fn new(name: &str, model: &Model, script: &Script) -> Self {
        Self {
            name: name.to_owned(),
            model: model.clone(),
            seed: script.seed,
            fixed_ids: script.fixed_ids,
            prepared: Default::default(),
        }
    }

    /// What the model does with its request `number`, counted from 0.
    pub(crate) fn plan(&self, ask: &Ask, number: u64) -> Plan {
        let draws = Draws::new(self.seed, &self.name, number);
        let id = if self.fixed_ids {
            mix(self.seed)
        } else {
            draws.bits(Question::Id)
        };
        let mut plan = match fault::choose(&self.model, draws) {
            Some(Fault::Reset) => Plan::nothing(Stop::Reset),
            Some(Fault::Hang) => Plan::nothing(Stop::Hold),
            Some(Fault::Error(failure)) => self.fail(failure, id),
            Some(Fault::Raw(raw)) => {
                Plan::raw(raw.text.clone().into_bytes(), fault::ending(raw.how))
            }
            fault => self.speak(ask, fault, draws, id),
        };
        plan.trickle = self.model.trickle.as_ref().and_then(|trickle| {
            draws
                .hits(&trickle.when, Question::Trickle)
                .then_some((trickle.bytes, trickle.every))
        });
        plan
    }

    fn speak(&self, ask: &Ask, fault: Option<Fault<'_>>, draws: Draws, id: u64) -> Plan {
        let pace = Pace::new(&self.model, draws);
        let answer = self.render(ask, draws);
        let Some(fault) = fault else {
            if pace.is_instant() {
                return Plan::whole(answer.into_owned(), Duration::ZERO, id);
            }
            return Plan::paced(answer.into_owned(), &pace, None, id);
        };
        let mut answer = answer.into_owned();
        let stop = fault::damage(&mut answer, fault, id);
        Plan::paced(answer, &pace, stop, id)
    }

    fn render(&self, ask: &Ask, draws: Draws) -> Cow<'_, Rendered> {
        let missed = |when: &Option<_>, question| {
            !when.as_ref().is_some_and(|when| draws.hits(when, question))
        };
        let speaker = Speaker {
            name: &self.name,
            model: &self.model,
            calls: self.calls(ask),
            include_usage: ask.include_usage,
            usage: missed(&self.model.no_usage, Question::NoUsage),
            done: missed(&self.model.no_done, Question::NoDone),
        };
        let ordinary = speaker.usage && speaker.done && speaker.calls.is_empty();
        match slot(ask)
            .filter(|_| ordinary)
            .and_then(|slot| self.prepared.get(slot))
        {
            Some(place) => Cow::Borrowed(place.get_or_init(|| speaker.render(ask, draws))),
            None => Cow::Owned(speaker.render(ask, draws)),
        }
    }

    fn calls(&self, ask: &Ask) -> Vec<ToolCall> {
        if ask.operation != Operation::Chat {
            return Vec::new();
        }
        match (&self.model.tool_calls, &ask.tool) {
            (Some(calls), _) => calls.clone(),
            (None, Some(name)) => {
                let arguments = crate::script::tool_arguments();
                vec![ToolCall {
                    name: name.clone(),
                    arguments,
                }]
            }
            (None, None) => Vec::new(),
        }
    }

    fn fail(&self, failure: &Failure, id: u64) -> Plan {
        let mut shape = refusal::usual(failure.status);
        shape.code = failure.code.as_deref().or(shape.code);
        shape.message = failure.message.as_deref().unwrap_or(shape.message);
        let mut body = Ink::default();
        match &failure.body {
            Some(text) => body.text(text),
            None => body.append(&error_object(&shape)),
        };
        let head = Head {
            status: failure.status,
            content_type: failure.content_type.as_deref(),
            retry_after: failure
                .retry_after
                .as_deref()
                .or(self.model.retry_after.as_deref()),
            model: Some(&self.model),
        };
        Plan::whole(Rendered::plain(head, &body, 0), failure.after, id)
    }
}

/// A model about to answer one request.
struct Speaker<'a> {
    name: &'a str,
    model: &'a Model,
    /// Empty: it answers in words.
    calls: Vec<ToolCall>,
    include_usage: bool,
    usage: bool,
    done: bool,
}

impl Speaker<'_> {
    fn render(&self, ask: &Ask, draws: Draws) -> Rendered {
        let head = Head::ok(self.model);
        if ask.stream {
            let events = match ask.operation {
                Operation::Chat => stream::chat(self),
                Operation::Completions => stream::completion(self),
                Operation::Embeddings | Operation::Other => stream::other(self),
            };
            return Rendered::stream(head, &events);
        }
        let body = match ask.operation {
            Operation::Chat => plain::chat(self),
            Operation::Completions => plain::completion(self),
            Operation::Embeddings => plain::embeddings(self, ask.embedding, draws),
            Operation::Other => plain::other(self),
        };
        let generated = if ask.operation == Operation::Embeddings {
            0
        } else {
            self.tokens()
        };
        Rendered::plain(head, &body, generated)
    }

    /// Tokens generated, thinking included.
    fn tokens(&self) -> u32 {
        let said = if self.calls.is_empty() {
            words::tokens(&words::content(self.model))
        } else {
            self.calls
                .iter()
                .map(|call| words::tokens(&words::arguments(&call.arguments)))
                .sum()
        };
        said + self.model.reasoning
    }

    fn finish(&self) -> &'static str {
        if self.calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        }
    }
}

/// A refusal, told at once.
pub(crate) fn refuse(refusal: Refusal) -> Plan {
    let shape = refusal.shape();
    json(
        shape.status,
        &String::from_utf8_lossy(&error_object(&shape).bytes),
    )
}

/// Any JSON text, told at once.
pub(crate) fn json(status: u16, text: &str) -> Plan {
    let head = Head {
        status,
        content_type: None,
        retry_after: None,
        model: None,
    };
    let mut body = Ink::default();
    body.text(text);
    Plan::whole(Rendered::plain(head, &body, 0), Duration::ZERO, 0)
}

/// Which prepared answer serves this. None: it depends on more than the script.
fn slot(ask: &Ask) -> Option<usize> {
    let operation = match ask.operation {
        Operation::Chat => 0,
        Operation::Completions => 3,
        Operation::Embeddings | Operation::Other => return None,
    };
    Some(operation + usize::from(ask.stream) + usize::from(ask.stream && ask.include_usage))
}

#[cfg(test)]
mod tests;
