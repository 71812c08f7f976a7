//! What does a failure before the first content allow?
//!
//! One table. An uncertain request (the provider may have acted on it) is never repeated at the
//! same target, because each try costs money; going to the next target on it is what a fallback is
//! for. The caller's own fault goes to nobody else: every target would refuse it alike.
//! Not here: time, budget and roles (`decide.rs`).

use std::time::Duration;

use crate::provider::failure::Failure;
use crate::target::breaker::Outcome;

/// What a failure means to the three who ask: the plan, the caller, the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// Whether the same target may be tried once more, if no other can.
    pub again: Again,
    /// Whether the next target may be tried.
    pub next: bool,
    /// The provider's answer goes to the caller as it came.
    pub pass_through: bool,
    pub blame: Blame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// Nothing was sent whole: once, without waiting.
    AtOnce,
    /// After the backoff, or after `Retry-After` if that is longer.
    AfterBackoff,
    /// Only if the provider names a wait of at most a second.
    IfRetryAfterWithin1s,
}

/// How the target's breaker counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    Hard,
    /// Hard if the request was sent more than a second before.
    HardIfSlow,
    RatioOnly,
    HardDown,
    /// The provider answered; the request, or our documents, were at fault.
    Answered,
}

impl Blame {
    /// What the breaker is told. `sent_for`: how long ago the request had been sent whole, if it
    /// was; `retry_after`: what the provider asked for, if it did.
    pub(crate) fn outcome(
        self,
        sent_for: Option<Duration>,
        retry_after: Option<Duration>,
    ) -> Outcome {
        let is_slow = sent_for.is_some_and(|sent| sent > Duration::from_secs(1));
        match self {
            Self::HardIfSlow if !is_slow => Outcome::CallerLeft,
            Self::Hard | Self::HardIfSlow => Outcome::HardFailure { retry_after },
            Self::RatioOnly => Outcome::RatioOnly,
            Self::HardDown => Outcome::HardDown,
            Self::Answered => Outcome::CallerFault,
        }
    }
}

/// The table.
pub(crate) fn after(failure: &Failure) -> Class {
    use Again::{AfterBackoff, AtOnce, IfRetryAfterWithin1s, Never};
    use Blame::{Answered, Hard, HardDown, HardIfSlow, RatioOnly};
    match *failure {
        Failure::Connect | Failure::NotWhole => next(AtOnce, Hard),
        Failure::Tls { certificate } => next(if certificate { Never } else { AtOnce }, Hard),
        Failure::Status {
            code: 429,
            insufficient_quota: true,
        } => next(Never, HardDown),
        Failure::Status { code, .. } => match code {
            429 => next(IfRetryAfterWithin1s, RatioOnly),
            503 | 529 => next(AfterBackoff, Hard),
            401 | 402 => next(Never, HardDown),
            404 => next(Never, Answered),
            408 | 409 | 425 => next(Never, RatioOnly),
            // It may concern one model or region only, so it is not hard-down.
            403 => next(Never, Hard),
            400..=499 => Class {
                again: Never,
                next: false,
                pass_through: true,
                blame: Answered,
            },
            _ => next(Never, Hard),
        },
        Failure::TimeoutConnect
        | Failure::Reset
        | Failure::BadResponse(_)
        | Failure::StreamError
        | Failure::Truncated
        | Failure::TimeoutFirstToken
        | Failure::TimeoutIdle
        | Failure::TimeoutAnswer => next(Never, Hard),
        Failure::TimeoutTotal => end(HardIfSlow),
    }
}

fn next(again: Again, blame: Blame) -> Class {
    Class {
        again,
        next: true,
        pass_through: false,
        blame,
    }
}

fn end(blame: Blame) -> Class {
    Class {
        again: Again::Never,
        next: false,
        pass_through: false,
        blame,
    }
}

#[cfg(test)]
mod tests;
