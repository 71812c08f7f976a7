//! How a watch stands, and when that is worth a word: to its consumer, and to the log.
//!
//! A consumer is told when it goes down and when the reason changes. The log gets one line a minute
//! at most while it is down, and one when it is up again after such a line. Pure: time comes in.

use std::time::{Duration, Instant};

use super::Reason;

/// A watch that stays down, or falls again and again, is logged again after this.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Up or down, and what was said of it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    up_since: Option<Instant>,
    down: Option<Reason>,
    logged: Option<Instant>,
    /// The log's last word is that it is down.
    said_down: bool,
}

/// What follows from a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fall {
    /// How long it had stood; zero if it never did.
    pub(crate) lived: Duration,
    /// The consumer does not know yet.
    pub(crate) is_news: bool,
    /// It is time for a line in the log.
    pub(crate) log: bool,
}

impl Standing {
    /// It stands. Whether the log should say so.
    pub(crate) fn rise(&mut self, now: Instant) -> bool {
        self.up_since = Some(now);
        self.down = None;
        std::mem::take(&mut self.said_down)
    }

    /// It fell, or could not rise.
    pub(crate) fn fall(&mut self, reason: Reason, now: Instant) -> Fall {
        let lived = self.up_since.take().map(|since| now - since);
        let is_news = self.down.replace(reason) != Some(reason);
        let log = self.logged.is_none_or(|at| now >= at + SAY_AGAIN);
        if log {
            self.logged = Some(now);
            self.said_down = true;
        }
        Fall {
            lived: lived.unwrap_or_default(),
            is_news,
            log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn however_often_it_falls_the_log_gets_two_lines_a_minute() {
        let (mut standing, start) = (Standing::default(), now());
        let mut lines = 0;
        for second in 0..600 {
            let at = start + Duration::from_secs(second);
            lines += u32::from(standing.fall(Reason::Auth, at).log);
            lines += u32::from(standing.rise(at));
        }
        assert_eq!(lines, 20);
    }

    #[test]
    fn its_consumer_is_told_once_for_each_reason() {
        let (mut standing, at) = (Standing::default(), now());
        let mut told = |reason| standing.fall(reason, at).is_news;
        assert!(told(Reason::Connect));
        assert!(!told(Reason::Connect));
        assert!(told(Reason::NoLeader));
        assert!(told(Reason::Connect));
        standing.rise(at);
        assert!(standing.fall(Reason::Connect, at).is_news, "it was up");
    }

    #[test]
    fn it_lived_from_its_rise_to_its_fall() {
        let (mut standing, start) = (Standing::default(), now());
        let lived = |fall: Fall| fall.lived.as_secs();
        assert_eq!(lived(standing.fall(Reason::Io, start)), 0);
        standing.rise(start);
        let later = start + Duration::from_secs(40);
        assert_eq!(lived(standing.fall(Reason::Io, later)), 40);
        assert_eq!(lived(standing.fall(Reason::Io, later)), 0);
    }
}
