//! When the newest changes of documents were seen: what "behind" is measured against. Pure.
//!
//! Changes that come close together share a step, so that a fixed number of steps reaches back far
//! enough at any rate; a step counts from its first change.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serin_proto::unit::Revision;

/// Changes within this time of the first of a step belong to it.
const STEP: Duration = Duration::from_millis(20);
/// Steps that are remembered: ten seconds of them without a gap.
const STEPS_MAX: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Trail {
    newest: Revision,
    /// Rising.
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    /// Its newest change.
    upto: Revision,
    /// When its first change was seen.
    since: Instant,
}

impl Trail {
    /// The newest change that was seen; 0: none.
    pub(super) fn newest(&self) -> Revision {
        self.newest
    }

    /// A change of that revision was seen. What is not newer than the newest changes nothing.
    pub(super) fn note(&mut self, revision: Revision, now: Instant) {
        if revision <= self.newest {
            return;
        }
        self.newest = revision;
        let open = self.steps.back_mut();
        match open.filter(|step| now.saturating_duration_since(step.since) < STEP) {
            Some(step) => step.upto = revision,
            None => {
                let since = now;
                self.steps.push_back(Step {
                    upto: revision,
                    since,
                });
            }
        }
        if self.steps.len() > STEPS_MAX {
            self.steps.pop_front();
        }
    }

    /// The store's revisions begin anew at this one: it is another store, or an older one.
    pub(super) fn restart(&mut self, revision: Revision, now: Instant) {
        *self = Self::default();
        self.note(revision, now);
    }

    /// Since when there has been a change that is not served by whoever serves `applied`.
    pub(super) fn behind_since(&self, applied: Revision) -> Option<Instant> {
        let first = self.steps.iter().find(|step| step.upto > applied)?;
        Some(first.since)
    }

    /// When the steps that are served since `applied` moved from one revision to another were seen.
    pub(super) fn between(&self, from: Revision, to: Revision) -> impl Iterator<Item = Instant> {
        let steps = self.steps.iter();
        steps
            .filter(move |step| step.upto > from && step.upto <= to)
            .map(|step| step.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn behind_is_counted_from_the_first_change_that_is_not_served() {
        let t = clock::now();
        let mut trail = Trail::default();
        assert_eq!(trail.behind_since(Revision(0)), None);
        trail.note(Revision(10), t);
        trail.note(Revision(14), t + ms(1_000));
        trail.note(Revision(12), t + ms(2_000));
        assert_eq!(trail.newest(), Revision(14));
        assert_eq!(trail.behind_since(Revision(0)), Some(t));
        assert_eq!(trail.behind_since(Revision(10)), Some(t + ms(1_000)));
        assert_eq!(trail.behind_since(Revision(13)), Some(t + ms(1_000)));
        assert_eq!(trail.behind_since(Revision(14)), None);
    }

    #[test]
    fn a_storm_of_changes_hides_nobody_who_stands_still() {
        let t = clock::now();
        let mut trail = Trail::default();
        for change in 1..=20_000 {
            trail.note(Revision(change), t + ms(change));
        }
        let end = t + ms(20_000);
        let behind = |applied| {
            let since = trail.behind_since(Revision(applied));
            since.map(|since| end.saturating_duration_since(since))
        };
        assert!(
            behind(1).is_some_and(|time| time >= ms(9_000)),
            "{:?}",
            behind(1)
        );
        assert!(
            behind(19_990).is_some_and(|time| time <= ms(40)),
            "{:?}",
            behind(19_990)
        );
        assert_eq!(behind(20_000), None);
        assert!(trail.steps.len() <= STEPS_MAX);
    }

    #[test]
    fn each_step_is_acknowledged_once() {
        let t = clock::now();
        let mut trail = Trail::default();
        for (revision, at) in [(5, 0), (7, 100), (9, 200)] {
            trail.note(Revision(revision), t + ms(at));
        }
        let seen = |from, to| trail.between(Revision(from), Revision(to)).count();
        assert_eq!(
            (seen(0, 9), seen(5, 7), seen(7, 8), seen(9, 9)),
            (3, 1, 0, 0)
        );
    }

    #[test]
    fn another_store_begins_anew_though_its_revision_is_lower() {
        let t = clock::now();
        let mut trail = Trail::default();
        trail.note(Revision(100), t);
        trail.restart(Revision(3), t + ms(50));
        assert_eq!(trail.newest(), Revision(3));
        assert_eq!(trail.behind_since(Revision(2)), Some(t + ms(50)));
        assert_eq!(trail.behind_since(Revision(100)), None);
    }
}
