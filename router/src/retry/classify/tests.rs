//! The table of failures, row by row.
//!
//! The design's table is written out again here, in the order of the design, so that the two can
//! be compared by eye.

use Again::{AfterBackoff, AtOnce, IfRetryAfterWithin1s, Never};
use Blame::{Answered, Hard, HardDown, HardIfSlow, RatioOnly};

use super::*;

fn status(code: u16) -> Failure {
    Failure::Status {
        code,
        insufficient_quota: false,
    }
}

#[rustfmt::skip]
#[test]
fn every_failure_allows_what_the_design_says() {
    let quota = Failure::Status { code: 429, insufficient_quota: true };
    let table: [(&[Failure], Again, bool, bool, Blame); 20] = [
        // failures                                               again                 next   pass   blame
        (&[Failure::Connect],                                     AtOnce,               true,  false, Hard),
        (&[Failure::Tls { certificate: false }],                  AtOnce,               true,  false, Hard),
        (&[Failure::Tls { certificate: true }],                   Never,                true,  false, Hard),
        (&[Failure::TimeoutConnect],                              Never,                true,  false, Hard),
        (&[Failure::NotWhole],                                    AtOnce,               true,  false, Hard),
        (&[Failure::Reset],                                       Never,                true,  false, Hard),
        (&[status(429)],                                          IfRetryAfterWithin1s, true,  false, RatioOnly),
        (&[quota],                                                Never,                true,  false, HardDown),
        (&[status(503), status(529)],                             AfterBackoff,         true,  false, Hard),
        (&[status(500), status(502), status(504), status(599)],   Never,                true,  false, Hard),
        (&[status(401), status(402)],                             Never,                true,  false, HardDown),
        (&[status(403)],                                          Never,                true,  false, Hard),
        (&[status(408), status(409), status(425)],                Never,                true,  false, RatioOnly),
        (&[status(404)],                                          Never,                true,  false, Answered),
        (&[status(400), status(405), status(413), status(422)],   Never,                false, true,  Answered),
        (&[status(302), Failure::BadResponse("html")],            Never,                true,  false, Hard),
        (&[Failure::StreamError, Failure::Truncated],             Never,                true,  false, Hard),
        (&[Failure::TimeoutFirstToken, Failure::TimeoutAnswer],   Never,                true,  false, Hard),
        (&[Failure::TimeoutIdle],                                 Never,                true,  false, Hard),
        (&[Failure::TimeoutTotal],                                Never,                false, false, HardIfSlow),
    ];
    for (failures, again, next, pass_through, blame) in table {
        for failure in failures {
            let expected = Class { again, next, pass_through, blame };
            assert_eq!(after(failure), expected, "{failure:?}");
        }
    }
}

#[rustfmt::skip]
#[test]
fn the_breaker_is_told_who_is_to_blame() {
    let s = |seconds| Some(Duration::from_millis(seconds));
    let hard = |retry_after| Outcome::HardFailure { retry_after };
    let table = [
        // blame     sent for    retry after  outcome
        (Hard,       None,       None,        hard(None)),
        (Hard,       None,       s(7),        hard(s(7))),
        (HardIfSlow, None,       None,        Outcome::CallerLeft),
        (HardIfSlow, s(1_000),   None,        Outcome::CallerLeft),
        (HardIfSlow, s(1_001),   None,        hard(None)),
        (RatioOnly,  s(9_000),   s(7),        Outcome::RatioOnly),
        (HardDown,   None,       None,        Outcome::HardDown),
        (Answered,   None,       None,        Outcome::CallerFault),
    ];
    for (blame, sent_for, retry_after, outcome) in table {
        assert_eq!(blame.outcome(sent_for, retry_after), outcome, "{blame:?} {sent_for:?}");
    }
}
