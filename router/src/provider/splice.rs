//! The caller's bytes, but for two places.
//!
//! A provider gets what the caller wrote, byte for byte, except the value of `model`, which
//! becomes the target's, and, for streams whose usage we want to count,
//! `stream_options.include_usage`. Nothing is parsed or printed again: unknown fields, order,
//! spaces and the spelling of numbers arrive untouched.
//!
//! Always: parsed, what leaves equals what came but for those two values. No byte is copied.
//! Not here: where the places are (`request/parse.rs`).

use std::ops::Range;

use bytes::Bytes;

use crate::request::parse::{Shallow, UsageAsked};

/// A body two places at most can cut: three pieces of the caller's and two of ours.
const PIECES_MAX: usize = 5;

/// A body in pieces; the iterator gives them in order.
#[derive(Clone, Debug)]
pub(crate) struct Spliced {
    pieces: [Bytes; PIECES_MAX],
    count: usize,
    at: usize,
    /// Length of the whole body in bytes.
    pub len: u64,
    /// We asked for usage where the caller had not: its frame must be taken out of the answer.
    pub asked_usage: bool,
}

/// Writes the body for one target. `model` is the target's model as a JSON string, quotes
/// included. `want_usage`: this operation streams usage frames and the provider can send them;
/// it is only asked if the caller wants a stream.
pub(crate) fn splice(body: &Bytes, shallow: &Shallow, model: &Bytes, want_usage: bool) -> Spliced {
    let ask = match &shallow.usage {
        UsageAsked::No { at, text } if want_usage && shallow.stream => Some((at, *text)),
        _ => None,
    };
    let mut spliced = Spliced::new(ask.is_some());
    let model_at = &shallow.model_span;
    let mut done = 0;
    let mut keep_to = |spliced: &mut Spliced, at: &Range<usize>| {
        spliced.push(slice(body, done..at.start));
        done = at.end;
    };
    if let Some((at, text)) = ask.filter(|(at, _)| at.start < model_at.start) {
        keep_to(&mut spliced, at);
        spliced.push(Bytes::from_static(text.as_bytes()));
    }
    if body.get(model_at.clone()) != Some(model.as_ref()) {
        keep_to(&mut spliced, model_at);
        spliced.push(model.clone());
    }
    if let Some((at, text)) = ask.filter(|(at, _)| at.start >= model_at.start) {
        keep_to(&mut spliced, at);
        spliced.push(Bytes::from_static(text.as_bytes()));
    }
    spliced.push(slice(body, done..body.len()));
    spliced
}

impl Spliced {
    fn new(asked_usage: bool) -> Self {
        let pieces = [const { Bytes::new() }; PIECES_MAX];
        Self {
            pieces,
            count: 0,
            at: 0,
            len: 0,
            asked_usage,
        }
    }

    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len() as u64;
        if let Some(place) = self.pieces.get_mut(self.count) {
            *place = piece;
            self.count += 1;
        }
    }
}

impl Iterator for Spliced {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let piece = self
            .pieces
            .get_mut(self.at)
            .filter(|piece| !piece.is_empty())?;
        self.at += 1;
        Some(std::mem::take(piece))
    }
}

/// `Bytes::slice` that cannot panic: the spans come from this very body.
fn slice(body: &Bytes, range: Range<usize>) -> Bytes {
    body.get(range)
        .map_or_else(Bytes::new, |part| body.slice_ref(part))
}

#[cfg(test)]
mod tests;
