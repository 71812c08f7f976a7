//! In which order are targets tried?
//!
//! The assigned target first, then the route's fallback order without it, no target twice. An
//! empty fallback means none: nothing is invented.
//! Not here: whether a target may be entered (`target/`), whether another attempt is right
//! (`retry/`). The plan is asked only once those have said yes to going on.

use std::sync::Arc;

use serin_proto::metric::Role;

/// A route's fallback order, as indexes into its targets, no target twice. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fallback(Arc<[usize]>);

impl Fallback {
    /// Keeps the first mention of each target.
    pub(crate) fn new(order: impl IntoIterator<Item = usize>) -> Self {
        let mut seen = Vec::new();
        for target in order {
            if !seen.contains(&target) {
                seen.push(target);
            }
        }
        Self(seen.into())
    }

    /// The same order without that target.
    pub(crate) fn without(&self, target: usize) -> Self {
        let others = self.0.iter().filter(|other| **other != target);
        Self(others.copied().collect())
    }
}

/// What one request may still try.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    assigned: usize,
    is_first_left: bool,
    fallback: Fallback,
    /// How much of `fallback` was handed out or skipped.
    position: usize,
}

impl Plan {
    pub(crate) fn new(assigned: usize, fallback: &Fallback) -> Self {
        Self {
            assigned,
            is_first_left: true,
            fallback: fallback.clone(),
            position: 0,
        }
    }

    /// The next target and the role of an attempt there: the assigned one as `First`, every other
    /// as `Fallback`.
    pub(crate) fn next(&mut self) -> Option<(usize, Role)> {
        if self.is_first_left {
            self.is_first_left = false;
            return Some((self.assigned, Role::First));
        }
        let target = self.left().next()?;
        let handed_out = self
            .fallback
            .0
            .iter()
            .position(|candidate| *candidate == target);
        self.position = handed_out.map_or(self.fallback.0.len(), |at| at + 1);
        Some((target, Role::Fallback))
    }

    /// What `next` would still give, in order, without taking it.
    pub(crate) fn left(&self) -> impl Iterator<Item = usize> {
        let first = self.is_first_left.then_some(self.assigned);
        let rest = self.fallback.0.iter().skip(self.position).copied();
        first
            .into_iter()
            .chain(rest.filter(|target| *target != self.assigned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn the_assigned_target_comes_first_and_none_comes_twice() {
        let table: [(usize, &[usize], &[usize]); 7] = [
            // assigned  fallback      tried
            (0,          &[],          &[0]),
            (0,          &[0],         &[0]),
            (0,          &[0, 1],      &[0, 1]),
            (1,          &[0, 1],      &[1, 0]),
            (2,          &[1, 0],      &[2, 1, 0]),
            (1,          &[2, 2, 1, 0, 2], &[1, 2, 0]),
            (1,          &[1, 1],      &[1]),
        ];
        for (assigned, fallback, tried) in table {
            let mut plan = Plan::new(assigned, &Fallback::new(fallback.iter().copied()));
            let mut seen = Vec::new();
            loop {
                let left: Vec<_> = plan.left().collect();
                assert_eq!(left, tried[seen.len()..], "left after {seen:?} of {fallback:?}");
                let Some((target, role)) = plan.next() else { break };
                assert_eq!(role, if seen.is_empty() { Role::First } else { Role::Fallback });
                seen.push(target);
            }
            assert_eq!(seen, tried, "assigned {assigned}, fallback {fallback:?}");
            assert!(plan.next().is_none(), "a spent plan stays spent");
        }
    }
}
