//! The events of a streamed answer.
//!
//! As OpenAI does it: a role delta, content deltas, one with the finish reason, then, only if
//! `stream_options.include_usage` asked for it, one with empty `choices` and the usage (all others
//! then carry `"usage":null`), then `[DONE]`.

use serde_json::json;

use super::ink::Ink;
use super::plain;
use super::rendered::{Event, Kind};
use super::words::{self, Piece};
use super::{CREATED, FINGERPRINT, Speaker};
use crate::script::ToolCall;

/// Events of `/v1/chat/completions`.
pub(super) fn chat(speaker: &Speaker<'_>) -> Vec<Event> {
    let mut script = Scribe {
        speaker,
        envelope: Envelope::Chat,
        tokens: 0,
        events: Vec::new(),
    };
    let role = speaker.model.role_delta;
    if role {
        let content = if speaker.calls.is_empty() {
            r#""""#
        } else {
            "null"
        };
        let delta = format!(r#"{{"role":"assistant","content":{content},"refusal":null}}"#);
        script.delta(&delta, Kind::Preamble, 0);
    }
    for thought in words::reasoning(speaker.model) {
        let delta = json!({"reasoning_content": thought.text}).to_string();
        script.delta(&delta, Kind::Content, thought.tokens);
    }
    if speaker.calls.is_empty() {
        for piece in words::content(speaker.model) {
            let delta = json!({"content": padded(speaker, &piece)}).to_string();
            script.delta(&delta, Kind::Content, piece.tokens);
        }
    }
    for (index, call) in speaker.calls.iter().enumerate() {
        script.tool_call(index, call);
    }
    script.finish("{}", speaker.finish());
    script.end()
}

/// Events of `/v1/completions`.
pub(super) fn completion(speaker: &Speaker<'_>) -> Vec<Event> {
    let envelope = Envelope::Completion;
    let mut script = Scribe {
        speaker,
        envelope,
        tokens: 0,
        events: Vec::new(),
    };
    for piece in words::content(speaker.model) {
        let text = json!(padded(speaker, &piece)).to_string();
        script.delta(&text, Kind::Content, piece.tokens);
    }
    script.finish(r#""""#, "stop");
    script.end()
}

/// Events in the manner of `/v1/responses`; HTTP's own end is theirs.
pub(super) fn other(speaker: &Speaker<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tokens = 0;
    for piece in words::content(speaker.model) {
        let kind = "response.output_text.delta";
        let data = json!({"type": kind, "delta": padded(speaker, &piece)});
        let mut ink = Ink::default();
        ink.text(&format!("event: {kind}\ndata: {data}\n\n"));
        events.push(Event {
            ink,
            tokens,
            kind: Kind::Content,
        });
        tokens += piece.tokens;
    }
    let mut ink = Ink::default();
    ink.text("event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":");
    ink.append(&plain::other(speaker)).text("}\n\n");
    events.push(Event {
        ink,
        tokens,
        kind: Kind::Tail,
    });
    events
}

/// What differs between the frames of the two older operations.
#[derive(Clone, Copy, PartialEq)]
enum Envelope {
    Chat,
    Completion,
}

/// Writes events one after the other and counts the tokens before each.
struct Scribe<'a> {
    speaker: &'a Speaker<'a>,
    envelope: Envelope,
    tokens: u32,
    events: Vec<Event>,
}

impl Scribe<'_> {
    /// A frame with one choice; `delta` is JSON.
    fn delta(&mut self, delta: &str, kind: Kind, tokens: u32) {
        let choice = self.choice(delta, None);
        self.push(&choice, None, kind);
        self.tokens += tokens;
    }

    fn finish(&mut self, delta: &str, reason: &str) {
        let choice = self.choice(delta, Some(reason));
        // The finish comes with the last token, not a token later.
        self.tokens = self.tokens.saturating_sub(1);
        self.push(&choice, None, Kind::Tail);
    }

    fn tool_call(&mut self, index: usize, call: &ToolCall) {
        let mut start = Ink::default();
        start
            .text("{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":")
            .number(index);
        start
            .text(",\"id\":\"call_")
            .id()
            .number(index)
            .text("\",\"type\":\"function\"");
        start
            .text(",\"function\":{\"name\":")
            .quoted(&call.name)
            .text(",\"arguments\":\"\"}}]}");
        start.text(",\"logprobs\":null,\"finish_reason\":null}");
        self.push(&start, None, Kind::Content);
        for piece in words::arguments(&call.arguments) {
            let function = json!({"arguments": piece.text});
            let delta = json!({"tool_calls": [{"index": index, "function": function}]});
            self.delta(&delta.to_string(), Kind::Content, piece.tokens);
        }
    }

    fn end(mut self) -> Vec<Event> {
        if self.speaker.usage && self.speaker.include_usage {
            let usage = plain::usage(self.speaker);
            self.push(&Ink::default(), Some(&usage), Kind::Tail);
        }
        if self.speaker.done {
            let mut ink = Ink::default();
            ink.text("data: [DONE]\n\n");
            self.events.push(Event {
                ink,
                tokens: self.tokens,
                kind: Kind::Tail,
            });
        }
        self.events
    }

    fn choice(&self, delta: &str, finish: Option<&str>) -> Ink {
        let finish = finish.map_or("null".to_owned(), |reason| format!("\"{reason}\""));
        let field = if self.envelope == Envelope::Chat {
            "delta"
        } else {
            "text"
        };
        let mut ink = Ink::default();
        ink.text(&format!(
            r#"{{"index":0,"{field}":{delta},"logprobs":null,"finish_reason":{finish}}}"#
        ));
        ink
    }

    fn push(&mut self, choices: &Ink, usage: Option<&Ink>, kind: Kind) {
        let (prefix, object) = match self.envelope {
            Envelope::Chat => ("chatcmpl-", "chat.completion.chunk"),
            Envelope::Completion => ("cmpl-", "text_completion"),
        };
        let mut ink = Ink::default();
        ink.text("data: {\"id\":\"")
            .text(prefix)
            .id()
            .text("\",\"object\":")
            .quoted(object);
        ink.text(",\"created\":")
            .number(CREATED)
            .text(",\"model\":")
            .quoted(self.speaker.name);
        ink.text(",\"system_fingerprint\":").quoted(FINGERPRINT);
        ink.text(",\"choices\":[").append(choices).text("]");
        match usage {
            Some(usage) => ink.text(",\"usage\":").append(usage),
            None if self.speaker.include_usage => ink.text(",\"usage\":null"),
            None => &mut ink,
        };
        ink.text("}\n\n");
        self.events.push(Event {
            ink,
            tokens: self.tokens,
            kind,
        });
    }
}

fn padded(speaker: &Speaker<'_>, piece: &Piece) -> String {
    piece.text.clone() + &words::filler(speaker.model.padding)
}
