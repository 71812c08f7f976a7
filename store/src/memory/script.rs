//! What is to become of the next transactions, in order.

use std::collections::VecDeque;

use crate::Error;

/// A transaction's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing is done.
    Fail(Error),
    /// It is done, and nobody hears of it.
    CommitInSilence,
}

#[derive(Debug, Default)]
pub(super) struct Script {
    turns: VecDeque<Turn>,
}

impl Script {
    pub(super) fn then(&mut self, turn: Turn) {
        self.turns.push_back(turn);
    }

    /// The fate of a transaction that comes now; `None`: nothing special.
    pub(super) fn next(&mut self) -> Option<Turn> {
        self.turns.pop_front()
    }
}
