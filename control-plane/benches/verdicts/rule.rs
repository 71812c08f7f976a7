//! What every judge is: it sees cells, and at some moment takes the candidate back.

use crate::traffic::Cell;

pub(crate) trait Rule {
    /// The share is changed. `at_s`: when.
    fn step(&mut self, at_s: u64, share: f64);

    /// Five seconds more were counted. The answer: when the candidate was taken back, in seconds
    /// since the rollout began; what is read later is decided later.
    fn see(&mut self, cell: &Cell) -> Option<u64>;

    /// The step ends: what looks once looks now.
    fn end(&mut self, at_s: u64) -> Option<u64> {
        let _ = at_s;
        None
    }
}
