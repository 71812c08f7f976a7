//! How did an attempt fail?
//!
//! One enum for everything that can end an attempt without a whole answer, seen from our side of
//! the wire. It says what happened, not what to do about it.
//! Not here: whether another attempt is right (`retry/classify.rs`), what the breaker makes of it
//! (`target/breaker.rs`).

use serin_proto::metric::Ending;

/// `Display` is for the operator; a caller never reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// DNS, refused, unreachable: nothing was sent.
    #[error("no connection")]
    Connect,
    /// `certificate`: it will be refused again, another try is no use.
    #[error("TLS failed{}", if *certificate { ": the certificate was refused" } else { "" })]
    Tls { certificate: bool },
    #[error("no connection in time")]
    TimeoutConnect,
    /// A write failed, so the provider cannot have the whole request.
    #[error("the request could not be written whole")]
    NotWhole,
    /// The connection ended after the request and before the answer: the provider may have acted.
    #[error("the connection ended before the answer")]
    Reset,
    /// An answer that is no success. `insufficient_quota`: a 429 that means our account is out of
    /// credit, not that we are too fast.
    #[error("status {code}")]
    Status { code: u16, insufficient_quota: bool },
    /// The answer is none of what the dialect allows; the text says how.
    #[error("bad response: {0}")]
    BadResponse(&'static str),
    /// An error inside a 200.
    #[error("the stream carried an error")]
    StreamError,
    /// The bytes ended without the terminator, or short of the announced length.
    #[error("the answer was cut")]
    Truncated,
    #[error("no first content in time")]
    TimeoutFirstToken,
    #[error("the answer paused for too long")]
    TimeoutIdle,
    /// An unstreamed answer was not whole in time.
    #[error("the answer was not whole in time")]
    TimeoutAnswer,
    /// The request's deadline passed during this attempt.
    #[error("the deadline passed")]
    TimeoutTotal,
}

impl Failure {
    /// The labels `outcome` and `reason` of this attempt.
    pub(crate) fn ending(&self) -> Ending {
        match *self {
            Self::Connect => Ending::Connect,
            Self::Tls { .. } => Ending::Tls,
            Self::TimeoutConnect => Ending::TimeoutConnect,
            Self::NotWhole | Self::Reset => Ending::Reset,
            Self::Status {
                code: 429,
                insufficient_quota: true,
            } => Ending::Quota,
            Self::Status { code, .. } => of_status(code),
            Self::BadResponse(_) => Ending::BadResponse,
            Self::StreamError => Ending::StreamError,
            Self::Truncated => Ending::Truncated,
            // The contract has one word for both: no (first) answer within its limit.
            Self::TimeoutFirstToken | Self::TimeoutAnswer => Ending::TimeoutFirstToken,
            Self::TimeoutIdle => Ending::TimeoutIdle,
            Self::TimeoutTotal => Ending::TimeoutTotal,
        }
    }
}

fn of_status(code: u16) -> Ending {
    match code {
        429 => Ending::Http429,
        401..=403 => Ending::HttpAuth,
        404 => Ending::Http404,
        408 | 409 | 425 => Ending::HttpOther,
        400..=499 => Ending::Http4xx,
        500..=599 => Ending::Http5xx,
        // 1xx and 3xx are no answers to a request like ours; redirects are never followed.
        _ => Ending::BadResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_reason_of_the_contract() {
        let table: [(&[u16], Ending); 8] = [
            (&[400, 405, 413, 418, 422, 431, 499], Ending::Http4xx),
            (&[401, 402, 403], Ending::HttpAuth),
            (&[404], Ending::Http404),
            (&[408, 409, 425], Ending::HttpOther),
            (&[429], Ending::Http429),
            (&[500, 501, 502, 503, 504, 529, 599], Ending::Http5xx),
            (&[301, 302, 304, 307], Ending::BadResponse),
            (&[0, 101, 600, 999], Ending::BadResponse),
        ];
        for (codes, ending) in table {
            for &code in codes {
                let failure = Failure::Status {
                    code,
                    insufficient_quota: false,
                };
                assert_eq!(failure.ending(), ending, "{code}");
            }
        }
        let quota = Failure::Status {
            code: 429,
            insufficient_quota: true,
        };
        assert_eq!(quota.ending(), Ending::Quota);
    }
}
