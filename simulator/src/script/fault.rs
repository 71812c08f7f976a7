//! What may go wrong on purpose, as a script writes it.
//!
//! Each fault says *when* (`share` of requests, `skip` the first n, only `times` n) beside *what*.
//! One request has at most one fault; they are asked in the order of `draw::Question`: reset, hang,
//! errors, raw, garbage, cut, stall, errorInStream, wrongLength, endless. Events are counted from 1
//! behind the head: a role delta is the first, a plain JSON answer has one.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::span;

/// Which requests are meant. Alone it may be written short: `true`, or just the share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct When {
    /// Share of the requests, 0.0..=1.0. Default 1.
    pub share: f64,
    /// The first so many requests of the model are spared. Default 0.
    pub skip: u64,
    /// After those, only so many are meant. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Default for When {
    fn default() -> Self {
        Self {
            share: 1.0,
            skip: 0,
            times: None,
        }
    }
}

impl When {
    /// This share of all requests, 0.0..=1.0.
    pub fn share(share: f64) -> Self {
        Self {
            share,
            ..Self::default()
        }
    }

    /// The first `times` requests, then never again.
    pub fn first(times: u64) -> Self {
        Self {
            times: Some(times),
            ..Self::default()
        }
    }

    pub(crate) fn covers(&self, number: u64) -> bool {
        number >= self.skip && self.times.is_none_or(|times| number - self.skip < times)
    }
}

/// Reads `true`, `0.25` or the whole form; `false` is absence.
pub(super) fn short<'de, D: Deserializer<'de>>(from: D) -> Result<Option<When>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected true, a share, or {share, skip, times}"
    )]
    enum Written {
        Flag(bool),
        Share(f64),
        Whole(When),
    }
    Ok(match Option::<Written>::deserialize(from)? {
        None | Some(Written::Flag(false)) => None,
        Some(Written::Flag(true)) => Some(When::default()),
        Some(Written::Share(share)) => Some(When::share(share)),
        Some(Written::Whole(when)) => Some(when),
    })
}

/// An error answer instead of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// 200..=599.
    pub status: u16,
    /// `Retry-After`, as it stands; nothing checks that it makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// `error.code`; default: what OpenAI says for the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `error.message`; default: what OpenAI says for the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A body of another shape: an HTML page, nothing at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Its content type. Default `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How long it takes to fail.
    #[serde(default, with = "span")]
    pub after: Duration,
    #[serde(flatten)]
    pub when: When,
}

/// A 200 stream that says `{"error": …}` and ends without `[DONE]`. Plain answers are spared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErrorInStream {
    /// 0: the error is the first event.
    #[serde(default)]
    pub after_events: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(flatten)]
    pub when: When,
}

/// Silence in the midst of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stall {
    /// 0: after the head.
    #[serde(default)]
    pub after_events: usize,
    /// Then the answer goes on. Absent: never.
    #[serde(
        default,
        rename = "for",
        with = "span::maybe",
        skip_serializing_if = "Option::is_none"
    )]
    pub lasting: Option<Duration>,
    #[serde(flatten)]
    pub when: When,
}

/// The connection ends in the midst of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cut {
    /// 0: after the head. Exactly one of this and `afterBytes` is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_events: Option<usize>,
    /// Bytes of the whole answer, head included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<usize>,
    #[serde(default)]
    pub how: How,
    #[serde(flatten)]
    pub when: When,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// FIN: what an application that ends looks like.
    #[default]
    Close,
    /// RST.
    Reset,
    /// It stays open and silent. For `raw`, `cut` and `garbage` alike.
    Hold,
}

/// Bytes that mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Garbage {
    pub place: Place,
    /// For `place: event`: behind how many good ones.
    #[serde(default)]
    pub after_events: usize,
    #[serde(flatten)]
    pub when: When,
}

/// Where the garbage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// Instead of the head; then the connection closes.
    Head,
    /// A good head, then a body of the announced length that is not JSON, not SSE.
    #[default]
    Body,
    /// One event of a stream is broken JSON; the stream then goes on. A plain answer: as `body`.
    Event,
}

/// A `Content-Length` that lies; the connection closes behind it. Streams have none and are spared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WrongLength {
    /// Announced minus sent, in bytes.
    pub by: i64,
    #[serde(flatten)]
    pub when: When,
}

/// An answer that never ends; it goes on until the caller leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endless {
    pub what: Endlessness,
    /// Pause between two pieces. Default: none, as fast as the caller reads.
    #[serde(default, with = "span")]
    pub every: Duration,
    #[serde(flatten)]
    pub when: When,
}

/// What never ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Endlessness {
    /// The last content delta of a stream, again and again. A plain answer: as `body`.
    #[default]
    Events,
    /// One event whose line has no end.
    Event,
    /// A JSON string, chunked, without a closing quote.
    Body,
}

/// These very bytes instead of an answer: the way to break HTTP in a manner that has no name here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Raw {
    pub text: String,
    #[serde(default)]
    pub how: How,
    #[serde(flatten)]
    pub when: When,
}

/// Not a fault but a manner: the answer comes in small pieces, whatever they cut in two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trickle {
    /// Bytes of one write, at least 1.
    pub bytes: usize,
    /// Pause between two writes. Default: none, but each is a write of its own.
    #[serde(default, with = "span")]
    pub every: Duration,
    #[serde(flatten)]
    pub when: When,
}
