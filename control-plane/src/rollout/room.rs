//! A store without room is asked for some once a second, by all rollouts together: every refused
//! write costs it something, and reads go on meanwhile.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Time between two tries while there is no room.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether there was room when it was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The newest try that found none; `None`: there was some.
    none_at: Mutex<Option<Instant>>,
}

impl Room {
    /// Whether somebody may write now. While there is no room, who may is the only one for a second.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        let mut none_at = self.lock();
        match *none_at {
            None => true,
            Some(at) if now.saturating_duration_since(at) >= PAUSE => {
                *none_at = Some(now);
                true
            }
            Some(_) => false,
        }
    }

    /// What the store said.
    pub(crate) fn told(&self, is_full: bool, now: Instant) {
        *self.lock() = is_full.then_some(now);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.none_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn while_there_is_no_room_one_in_a_second_asks_for_some() {
        let (room, t) = (Room::default(), clock::now());
        let at = |ms| t + Duration::from_millis(ms);
        assert!(room.may_ask(t) && room.may_ask(t));
        room.told(true, t);
        assert!(!room.may_ask(at(999)));
        assert!(room.may_ask(at(1_000)));
        assert!(!room.may_ask(at(1_001)), "another asks already");
        room.told(false, at(1_002));
        assert!(room.may_ask(at(1_003)) && room.may_ask(at(1_003)));
    }
}
