//! The ways to fail before the first content, as one table: what the target does, what it is called,
//! and what the caller is told when there is no other target.

/// What the caller is told when there is no other target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// Status and code of ours, after so many calls of the target.
    Ours(u16, &'static str, usize),
    /// The provider's answer as it came.
    Theirs(u16),
}
use Told::{Ours, Theirs};

/// One failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Of the route, and of the model of its target `a`.
    pub(crate) name: &'static str,
    /// What the model does; empty: nobody listens at its provider's address.
    pub(crate) script: &'static str,
    pub(crate) stream: bool,
    pub(crate) reason: &'static str,
    pub(crate) told: Told,
}

impl Row {
    pub(crate) fn is_gone(&self) -> bool {
        self.script.is_empty()
    }
}

const fn plain(name: &'static str, script: &'static str, reason: &'static str, told: Told) -> Row {
    Row {
        name,
        script,
        stream: false,
        reason,
        told,
    }
}

const fn stream(name: &'static str, script: &'static str, reason: &'static str, told: Told) -> Row {
    Row {
        name,
        script,
        stream: true,
        reason,
        told,
    }
}

const ERROR: &str = "upstream_error";
const AUTH: &str = "upstream_auth_failed";
const LIMITED: &str = "upstream_rate_limited";

#[rustfmt::skip]
pub(crate) const STATUSES: &[Row] = &[
    plain("s500",     "errors: [{status: 500}]",                           "http_5xx",     Ours(502, ERROR, 1)),
    stream("s500s",   "errors: [{status: 500}]",                           "http_5xx",     Ours(502, ERROR, 1)),
    plain("s502",     "errors: [{status: 502, body: '<html>'}]",           "http_5xx",     Ours(502, ERROR, 1)),
    plain("s504",     "errors: [{status: 504, body: ''}]",                 "http_5xx",     Ours(502, ERROR, 1)),
    plain("s503",     "errors: [{status: 503}]",                           "http_5xx",     Ours(502, ERROR, 2)),
    stream("s503s",   "errors: [{status: 503}]",                           "http_5xx",     Ours(502, ERROR, 2)),
    plain("s503far",  "errors: [{status: 503, retryAfter: '60'}]",         "http_5xx",     Ours(502, ERROR, 1)),
    plain("s529",     "errors: [{status: 529}]",                           "http_5xx",     Ours(502, ERROR, 2)),
    plain("s429",     "errors: [{status: 429}]",                           "http_429",     Ours(429, LIMITED, 1)),
    plain("s429far",  "errors: [{status: 429, retryAfter: '7'}]",          "http_429",     Ours(429, LIMITED, 1)),
    stream("s429now", "errors: [{status: 429}], headers: {retry-after-ms: '20'}", "http_429",     Ours(429, LIMITED, 2)),
    plain("quota",    "errors: [{status: 429, code: insufficient_quota}]", "quota",        Ours(502, ERROR, 1)),
    plain("s401",     "errors: [{status: 401}]",                           "http_auth",    Ours(502, AUTH, 1)),
    plain("s402",     "errors: [{status: 402}]",                           "http_auth",    Ours(502, AUTH, 1)),
    stream("s403",    "errors: [{status: 403}]",                           "http_auth",    Ours(502, AUTH, 1)),
    plain("s404",     "errors: [{status: 404}]",                           "http_404",     Ours(502, ERROR, 1)),
    plain("s408",     "errors: [{status: 408}]",                           "http_other",   Ours(502, ERROR, 1)),
    plain("s409",     "errors: [{status: 409}]",                           "http_other",   Ours(502, ERROR, 1)),
    plain("s425",     "errors: [{status: 425}]",                           "http_other",   Ours(502, ERROR, 1)),
    plain("s301",     "errors: [{status: 301}], headers: {location: 'http://127.0.0.1:1/'}", "bad_response", Ours(502, ERROR, 1)),
    plain("s304",     "errors: [{status: 304, body: ''}]",                 "bad_response", Ours(502, ERROR, 1)),
    plain("s400",     "errors: [{status: 400, code: context_length_exceeded}]", "http_4xx",     Theirs(400)),
    stream("s400s",   "errors: [{status: 400}]",                           "http_4xx",     Theirs(400)),
    plain("s413",     "errors: [{status: 413, body: 'too big', contentType: text/plain}]", "http_4xx",     Theirs(413)),
    plain("s422",     "errors: [{status: 422}]",                           "http_4xx",     Theirs(422)),
    plain("s418",     "errors: [{status: 418}]",                           "http_4xx",     Theirs(418)),
];

#[rustfmt::skip]
pub(crate) const WIRES: &[Row] = &[
    plain("gone",     "",                                                  "connect",      Ours(502, ERROR, 0)),
    stream("gones",   "",                                                  "connect",      Ours(502, ERROR, 0)),
    plain("reset",    "reset: true",                                       "reset",        Ours(502, ERROR, 1)),
    stream("resets",  "reset: true",                                       "reset",        Ours(502, ERROR, 1)),
    plain("close",    "raw: {text: '', how: close}",                       "reset",        Ours(502, ERROR, 1)),
    plain("head1",    "cut: {afterBytes: 1}",                              "reset",        Ours(502, ERROR, 1)),
    stream("head9",   "cut: {afterBytes: 9, how: reset}",                  "reset",        Ours(502, ERROR, 1)),
    stream("head17",  "cut: {afterBytes: 17}",                             "reset",        Ours(502, ERROR, 1)),
    plain("head40",   "cut: {afterBytes: 40, how: reset}",                 "reset",        Ours(502, ERROR, 1)),
    plain("head60",   "cut: {afterBytes: 60}",                             "reset",        Ours(502, ERROR, 1)),
    plain("nohttp",   "garbage: {place: head}",                            "bad_response", Ours(502, ERROR, 1)),
    plain("lengths",  "raw: {text: \"HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\ncontent-length: 2\\r\\n\\r\\nxx\"}", "bad_response", Ours(502, ERROR, 1)),
    plain("body",     "cut: {afterBytes: 300}",                            "truncated",    Ours(502, ERROR, 1)),
    plain("bodyrst",  "cut: {afterBytes: 300, how: reset}",                "truncated",    Ours(502, ERROR, 1)),
    plain("longer",   "wrongLength: {by: 5}",                              "truncated",    Ours(502, ERROR, 1)),
    plain("shorter",  "wrongLength: {by: -5}",                             "bad_response", Ours(502, ERROR, 1)),
    stream("nothing", "cut: {afterEvents: 0}",                             "truncated",    Ours(502, ERROR, 1)),
    stream("role",    "cut: {afterEvents: 1}",                             "truncated",    Ours(502, ERROR, 1)),
    plain("hang",     "hang: true",                                        "timeout_first_token", Ours(502, ERROR, 1)),
    stream("hangs",   "hang: true",                                        "timeout_first_token", Ours(502, ERROR, 1)),
    stream("stalls",  "stall: {afterEvents: 1}",                           "timeout_first_token", Ours(502, ERROR, 1)),
    plain("idle",     "trickle: {bytes: 300, every: 1s}",                  "timeout_idle", Ours(502, ERROR, 1)),
    plain("hanging",  "cut: {afterBytes: 300, how: hold}",                 "timeout_first_token", Ours(502, ERROR, 1)),
];

#[rustfmt::skip]
pub(crate) const ANSWERS: &[Row] = &[
    plain("type",     "contentType: text/html",                            "bad_response", Ours(502, ERROR, 1)),
    stream("types",   "contentType: application/json",                     "bad_response", Ours(502, ERROR, 1)),
    plain("zipped",   "headers: {content-encoding: gzip}",                 "bad_response", Ours(502, ERROR, 1)),
    plain("notjson",  "garbage: {place: body}",                            "bad_response", Ours(502, ERROR, 1)),
    stream("event",   "garbage: {place: event, afterEvents: 0}",           "bad_response", Ours(502, ERROR, 1)),
    stream("event1",  "garbage: {place: event, afterEvents: 1}",           "bad_response", Ours(502, ERROR, 1)),
    stream("endless", "endless: {what: event}",                            "bad_response", Ours(502, ERROR, 1)),
    stream("error0",  "errorInStream: {afterEvents: 0}",                   "stream_error", Ours(502, ERROR, 1)),
    stream("error1",  "errorInStream: {afterEvents: 1}",                   "stream_error", Ours(502, ERROR, 1)),
    plain("error",    "errors: [{status: 200}]",                           "stream_error", Ours(502, ERROR, 1)),
    stream("errors",  "errors: [{status: 200}]",                           "bad_response", Ours(502, ERROR, 1)),
    plain("empty",    "errors: [{status: 200, body: ''}]",                 "bad_response", Ours(502, ERROR, 1)),
    plain("accept",   "errors: [{status: 204, body: ''}]",                 "bad_response", Ours(502, ERROR, 1)),
];
