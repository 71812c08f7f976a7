//! What happened between two looks at the counters?
//!
//! Requests, events and nanoseconds on cores over the same stretch of time, with the quotients that a
//! table and its warnings need. Nothing here looks at anything: it is arithmetic.

use std::fmt;
use std::time::Duration;

use crate::cpu::Busy;

/// What happened between the two looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) wall: Duration,
    pub(crate) busy: Busy,
}

impl Measured {
    /// Microseconds that the proxy was on its core.
    pub(crate) fn proxy_us(&self) -> f64 {
        self.busy.proxy as f64 / 1000.0
    }

    /// What the proxy used of its core; 1 = all of it.
    pub(crate) fn proxy_share(&self) -> f64 {
        self.share(self.busy.proxy)
    }

    /// What generator and provider used, in cores.
    pub(crate) fn feeding_share(&self) -> f64 {
        self.share(self.busy.feeding)
    }

    /// What everybody else used, in cores: good to 10 ms in all.
    pub(crate) fn others_share(&self) -> f64 {
        let ours = self.busy.proxy + self.busy.feeding;
        self.share(self.busy.machine.saturating_sub(ours))
    }

    fn share(&self, ns: u64) -> f64 {
        ns as f64 / self.wall.as_nanos() as f64
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "{} requests, {} events in {:.2} s; cores used: proxy {:.2}, feeding {:.2}, others {:.2}",
            self.requests,
            self.events,
            self.wall.as_secs_f64(),
            self.proxy_share(),
            self.feeding_share(),
            self.others_share()
        )
    }
}
