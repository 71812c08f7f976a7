//! A whole answer as bytes, head included, with marks where its events end.
//!
//! The marks are what pacing and faults are told in: "after 3 events" is a place in the bytes. A
//! plain answer is one event that is due when its last token is.

use super::ink::Ink;
use super::refusal::{Shape, reason};
use crate::script::Model;

/// What an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says nothing yet: the role.
    Preamble,
    Content,
    /// Finish, usage, `[DONE]`.
    Tail,
}

/// The end of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) end: usize,
    /// Tokens that must have been generated before it can be sent.
    pub(super) tokens: u32,
    pub(super) kind: Kind,
}

/// An event before it has a place.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) ink: Ink,
    pub(super) tokens: u32,
    pub(super) kind: Kind,
}

/// An answer, ready but for its ids.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    pub(super) ink: Ink,
    pub(super) head_end: usize,
    pub(super) marks: Vec<Mark>,
    pub(super) status: u16,
    pub(super) streamed: bool,
}

impl Rendered {
    /// A body whose length is known.
    pub(super) fn plain(head: Head<'_>, body: &Ink, tokens: u32) -> Self {
        let mut ink = Ink::default();
        head.write(&mut ink, "application/json");
        ink.text("content-length: ")
            .number(body.bytes.len())
            .text("\r\n\r\n");
        let head_end = ink.bytes.len();
        ink.append(body);
        let mark = Mark {
            end: ink.bytes.len(),
            tokens,
            kind: Kind::Content,
        };
        Self {
            ink,
            head_end,
            marks: vec![mark],
            status: head.status,
            streamed: false,
        }
    }

    /// A chunked stream of server-sent events, each a chunk of its own.
    pub(super) fn stream(head: Head<'_>, events: &[Event]) -> Self {
        let mut ink = Ink::default();
        head.write(&mut ink, "text/event-stream; charset=utf-8");
        ink.text("cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
        let head_end = ink.bytes.len();
        let mut marks = Vec::with_capacity(events.len());
        for event in events {
            ink.chunk(&event.ink);
            marks.push(Mark {
                end: ink.bytes.len(),
                tokens: event.tokens,
                kind: event.kind,
            });
        }
        ink.text(LAST_CHUNK);
        Self {
            ink,
            head_end,
            marks,
            status: head.status,
            streamed: true,
        }
    }

    /// Where `events` events have ended; 0 is the end of the head.
    pub(super) fn after(&self, events: usize) -> usize {
        match events.checked_sub(1) {
            None => self.head_end,
            Some(index) => self
                .marks
                .get(index)
                .or(self.marks.last())
                .map_or(self.head_end, |mark| mark.end),
        }
    }

    /// Forgets everything behind `at`, which is a mark or the end of the head.
    pub(super) fn truncate(&mut self, at: usize) {
        self.ink.bytes.truncate(at);
        self.ink.ids.retain(|id| *id < at);
        self.marks.retain(|mark| mark.end <= at);
    }

    /// Puts `with` in place of `len` bytes at `at`; everything behind moves.
    pub(super) fn splice(&mut self, at: usize, len: usize, with: &[u8]) {
        let moved = |place: usize| {
            if place < at {
                place
            } else {
                place - len + with.len()
            }
        };
        self.ink.bytes.splice(at..at + len, with.iter().copied());
        self.ink.ids.iter_mut().for_each(|id| *id = moved(*id));
        self.marks
            .iter_mut()
            .filter(|m| m.end > at)
            .for_each(|m| m.end = moved(m.end));
        if self.head_end > at {
            self.head_end = moved(self.head_end);
        }
    }
}

/// The end of a chunked body.
pub(super) const LAST_CHUNK: &str = "0\r\n\r\n";

/// What a head says besides how long the body is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    /// Instead of the usual one.
    pub(super) content_type: Option<&'a str>,
    pub(super) retry_after: Option<&'a str>,
    /// Whose extra headers are added. None for answers of no model.
    pub(super) model: Option<&'a Model>,
}

impl<'a> Head<'a> {
    pub(super) fn ok(model: &'a Model) -> Self {
        let content_type = model.content_type.as_deref();
        Self {
            status: 200,
            content_type,
            retry_after: None,
            model: Some(model),
        }
    }

    /// All lines but those about the length, and no empty line yet.
    pub(super) fn write(&self, ink: &mut Ink, content_type: &str) {
        ink.text("HTTP/1.1 ")
            .number(self.status)
            .text(" ")
            .text(reason(self.status));
        ink.text("\r\nserver: serin-simulator\r\ncontent-type: ");
        ink.text(self.content_type.unwrap_or(content_type));
        ink.text("\r\nx-request-id: req_").id().text("\r\n");
        if let Some(value) = self.retry_after {
            ink.text("retry-after: ").text(value).text("\r\n");
        }
        for (name, value) in self.model.iter().flat_map(|model| &model.headers) {
            ink.text(name).text(": ").text(value).text("\r\n");
        }
    }
}

/// `{"error": …}`
pub(super) fn error_object(shape: &Shape<'_>) -> Ink {
    let mut ink = Ink::default();
    ink.text("{\"error\":{\"message\":").quoted(shape.message);
    ink.text(",\"type\":").quoted(shape.kind);
    for (name, value) in [("param", shape.param), ("code", shape.code)] {
        ink.text(",\"").text(name).text("\":");
        match value {
            Some(value) => ink.quoted(value),
            None => ink.text("null"),
        };
    }
    ink.text("}}");
    ink
}
