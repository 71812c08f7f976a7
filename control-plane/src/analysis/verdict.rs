//! The verdict of a tick, from best to worst, so several together are their maximum. Pure.
//!
//! Only positive evidence advances. `Error` and `Inconclusive` hold; only `Fail` takes back.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Inconclusive,
    Error,
    Fail,
}

impl Verdict {
    pub const ALL: [Self; 4] = [Self::Pass, Self::Inconclusive, Self::Error, Self::Fail];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }
}
