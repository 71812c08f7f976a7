//! Nobody answered: what is the caller told?
//!
//! The deadline outweighs all; then a reason that every attempt shares; else only that it failed.
//! Nothing of our insides is told, so this is all a caller can learn.

use std::time::Duration;

use serin_proto::metric::Ending;

use crate::provider::failure::Failure;

/// One failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub failure: Failure,
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The deadline passed: 504.
    Timeout,
    /// Every attempt was answered 429: 429, with the least wait any of them named.
    RateLimited { retry_after: Option<Duration> },
    /// Every attempt was refused for our credential: 502.
    AuthFailed,
    /// 502.
    Error,
}

/// Sums up a request's failed attempts, at least one, in order.
pub(crate) fn exhausted(attempts: &[Failed]) -> Exhausted {
    let all = |ending: Ending| {
        !attempts.is_empty()
            && attempts
                .iter()
                .all(|failed| failed.failure.ending() == ending)
    };
    if attempts
        .iter()
        .any(|failed| failed.failure == Failure::TimeoutTotal)
    {
        Exhausted::Timeout
    } else if all(Ending::Http429) {
        let retry_after = attempts
            .iter()
            .filter_map(|failed| failed.retry_after)
            .min();
        Exhausted::RateLimited { retry_after }
    } else if all(Ending::HttpAuth) {
        Exhausted::AuthFailed
    } else {
        Exhausted::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, wait_s: Option<u64>) -> Failed {
        let failure = Failure::Status {
            code,
            insufficient_quota: false,
        };
        Failed {
            failure,
            retry_after: wait_s.map(Duration::from_secs),
        }
    }

    fn failed(failure: Failure) -> Failed {
        Failed {
            failure,
            retry_after: None,
        }
    }

    #[rustfmt::skip]
    #[test]
    fn the_caller_learns_only_what_all_attempts_share() {
        let limited = |s| Exhausted::RateLimited { retry_after: Some(Duration::from_secs(s)) };
        let unnamed = Exhausted::RateLimited { retry_after: None };
        let quota = Failure::Status { code: 429, insufficient_quota: true };
        let table: [(&[Failed], Exhausted); 12] = [
            (&[failed(Failure::Connect)],                                  Exhausted::Error),
            (&[status(429, Some(7)), status(429, Some(3))],                limited(3)),
            (&[status(429, None), status(429, Some(3))],                   limited(3)),
            (&[status(429, None)],                                         unnamed),
            (&[status(429, Some(7)), status(503, Some(1))],                Exhausted::Error),
            (&[status(429, Some(7)), failed(quota)],                       Exhausted::Error),
            (&[failed(quota)],                                             Exhausted::Error),
            (&[status(401, None), status(403, None)],                      Exhausted::AuthFailed),
            (&[status(401, None), status(500, None)],                      Exhausted::Error),
            (&[status(429, Some(1)), failed(Failure::TimeoutTotal)],       Exhausted::Timeout),
            (&[failed(Failure::TimeoutFirstToken)],                        Exhausted::Error),
            (&[],                                                          Exhausted::Error),
        ];
        for (attempts, told) in table {
            assert_eq!(exhausted(attempts), told, "{attempts:?}");
        }
    }
}
