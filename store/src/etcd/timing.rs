//! How long this client waits, for what. One place, so that tests can shrink it.

use std::time::Duration;

/// Deadlines and pauses of the etcd client. The defaults are those of production.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Around each call, and the time in which what may be repeated is repeated.
    pub call: Duration,
    /// Between two HTTP/2 pings. The server refuses them more often than every 5 s.
    pub ping: Duration,
    /// Until a ping must be answered.
    pub ping_answer: Duration,
    /// Between two requests for progress on a watch.
    pub ask_progress: Duration,
    /// Between two questions whether the member of a watch still has a leader.
    pub ask_leader: Duration,
    /// The longest silence of a watch.
    pub silent: Duration,
    /// The first pause after a failure lies between zero and this; each next one doubles it …
    pub pause_min: Duration,
    /// … up to this.
    pub pause_max: Duration,
    /// A watch that lived so long has earned a first pause again.
    pub healthy: Duration,
    /// A watch that must list again waits between zero and this first: all of them must at once.
    pub relist_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            call: Duration::from_secs(5),
            ping: Duration::from_secs(10),
            ping_answer: Duration::from_secs(5),
            ask_progress: Duration::from_secs(10),
            ask_leader: Duration::from_secs(1),
            silent: Duration::from_secs(30),
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
            healthy: Duration::from_secs(30),
            relist_max: Duration::from_secs(2),
        }
    }
}
