//! The closed sets of label values: what a label may say, and nothing else.
//!
//! Each set is an enum with its values in `ALL` (so that a series can be exposed at 0 before it
//! first counts) and `as_str` for the word that is exported. `as usize` is the index into `ALL`:
//! the router keeps arrays of counters, not maps.

/// What a request asks for (label `operation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Chat,
    Completions,
    Embeddings,
    Models,
    Responses,
    Images,
    Audio,
    Moderations,
    Other,
}

impl Operation {
    pub const ALL: [Self; 9] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Models,
        Self::Responses,
        Self::Images,
        Self::Audio,
        Self::Moderations,
        Self::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
            Self::Responses => "responses",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Moderations => "moderations",
            Self::Other => "other",
        }
    }
}

/// The side a request was assigned to (label `arm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    Stable,
    Canary,
}

impl Arm {
    pub const ALL: [Self; 2] = [Self::Stable, Self::Canary];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }
}

/// What an attempt was for (label `role`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    First,
    Retry,
    Fallback,
    Mirror,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::First, Self::Retry, Self::Fallback, Self::Mirror];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Fallback => "fallback",
            Self::Mirror => "mirror",
        }
    }
}

/// How an attempt ended: each legal pair of the labels `outcome` and `reason` is one value, so an
/// illegal pair cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    Success,
    /// The caller left: in no denominator, charged to nobody.
    ClientGone,
    Connect,
    Tls,
    TimeoutConnect,
    TimeoutFirstToken,
    TimeoutIdle,
    TimeoutTotal,
    /// The caller's own fault.
    Http4xx,
    /// Our credential was refused.
    HttpAuth,
    /// Our account is out of credit.
    Quota,
    Http404,
    Http429,
    Http5xx,
    HttpOther,
    Reset,
    Truncated,
    BadResponse,
    StreamError,
    DivertedOpen,
    DivertedUnhealthy,
    DivertedFull,
}

impl Ending {
    pub const ALL: [Self; 22] = [
        Self::Success,
        Self::ClientGone,
        Self::Connect,
        Self::Tls,
        Self::TimeoutConnect,
        Self::TimeoutFirstToken,
        Self::TimeoutIdle,
        Self::TimeoutTotal,
        Self::Http4xx,
        Self::HttpAuth,
        Self::Quota,
        Self::Http404,
        Self::Http429,
        Self::Http5xx,
        Self::HttpOther,
        Self::Reset,
        Self::Truncated,
        Self::BadResponse,
        Self::StreamError,
        Self::DivertedOpen,
        Self::DivertedUnhealthy,
        Self::DivertedFull,
    ];

    /// Whether this ending means that no attempt was made at the assigned target. Such endings
    /// exist for role `first` only.
    pub fn is_diversion(self) -> bool {
        matches!(
            self,
            Self::DivertedOpen | Self::DivertedUnhealthy | Self::DivertedFull
        )
    }

    /// Label `outcome`.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ClientGone => "canceled",
            _ => "error",
        }
    }

    /// Label `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Success => "none",
            Self::ClientGone => "client_gone",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutFirstToken => "timeout_first_token",
            Self::TimeoutIdle => "timeout_idle",
            Self::TimeoutTotal => "timeout_total",
            Self::Http4xx => "http_4xx",
            Self::HttpAuth => "http_auth",
            Self::Quota => "quota",
            Self::Http404 => "http_404",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::HttpOther => "http_other",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::BadResponse => "bad_response",
            Self::StreamError => "stream_error",
            Self::DivertedOpen => "diverted_open",
            Self::DivertedUnhealthy => "diverted_unhealthy",
            Self::DivertedFull => "diverted_full",
        }
    }
}

/// Where a caller was when it left (label `phase` of disconnects).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Upload,
    Head,
    FirstToken,
    Stream,
    Backoff,
}

impl Phase {
    pub const ALL: [Self; 5] = [
        Self::Upload,
        Self::Head,
        Self::FirstToken,
        Self::Stream,
        Self::Backoff,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Head => "head",
            Self::FirstToken => "first_token",
            Self::Stream => "stream",
            Self::Backoff => "backoff",
        }
    }
}

/// What a token was (label `type`). The values are disjoint, so their sum is the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// Without the cached ones.
    Input,
    CachedInput,
    /// Without the reasoning ones.
    Output,
    Reasoning,
}

impl TokenType {
    pub const ALL: [Self; 4] = [
        Self::Input,
        Self::CachedInput,
        Self::Output,
        Self::Reasoning,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
        }
    }
}

/// Who counted the tokens (label `source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenSource {
    Reported,
    Estimated,
}

impl TokenSource {
    pub const ALL: [Self; 2] = [Self::Reported, Self::Estimated];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated => "estimated",
        }
    }
}

/// State of a breaker (labels `state`, `to`). Closed = traffic flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}
