//! How this router stands to its store: what it applied, what it had to refuse, whether it holds.
//!
//! Written by the watcher alone, read by `/snapshot` and by the report. It is bounded: a store full
//! of garbage must not become a report full of it.

use std::sync::Arc;

use serin_proto::{
    fleet::{Hold, REJECTED_LISTED_MAX, RejectedDocument, Source},
    unit::Revision,
};

/// Longest message of a refused document that is told, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;
/// Most bytes of keys and messages of all refused documents that are told.
const REJECTED_BYTES_MAX: usize = 56 * 1024;
/// What one listed document may take beside its key and message.
const REJECTED_FRAME_BYTES: usize = 128;

/// The state of following, as it is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// The revision of the newest change that serves; `None`: no documents yet.
    pub(crate) applied: Option<Revision>,
    pub(crate) source: Source,
    pub(crate) hold: Option<Hold>,
    pub(crate) rejected: Rejected,
}

/// Documents that do not serve as they are stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rejected {
    pub(crate) count: u64,
    /// The first of them, as many as may be told.
    pub(crate) listed: Arc<[RejectedDocument]>,
}

impl Rejected {
    pub(super) fn of(all: &[RejectedDocument]) -> Self {
        let mut bytes = 0;
        let listed = all.iter().take(REJECTED_LISTED_MAX).map(shortened);
        let listed = listed.take_while(|rejected| {
            bytes += rejected.key.len() + rejected.message.len() + REJECTED_FRAME_BYTES;
            bytes <= REJECTED_BYTES_MAX
        });
        Self {
            count: all.len() as u64,
            listed: listed.collect(),
        }
    }
}

fn shortened(rejected: &RejectedDocument) -> RejectedDocument {
    let mut rejected = rejected.clone();
    if rejected.message.len() > MESSAGE_BYTES_MAX {
        let end = rejected.message.floor_char_boundary(MESSAGE_BYTES_MAX);
        rejected.message.truncate(end);
        rejected.message.push('…');
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(message: &str) -> RejectedDocument {
        RejectedDocument {
            key: "config/routes/a".to_owned(),
            mod_revision: u64::MAX,
            code: "unreadable".to_owned(),
            message: message.to_owned(),
            serving_revision: Some(u64::MAX),
        }
    }

    #[test]
    fn however_much_is_refused_the_list_stays_short() {
        let table = [
            (vec![rejected("no"); 3], 3),
            (vec![rejected("no"); 10_000], REJECTED_LISTED_MAX),
            (vec![rejected(&"é".repeat(100_000)); 10_000], 87),
        ];
        for (all, listed) in table {
            let told = Rejected::of(&all);
            assert_eq!(told.count, all.len() as u64);
            assert_eq!(told.listed.len(), listed);
            let json = serde_json::to_vec(&*told.listed).expect("JSON");
            assert!(json.len() <= 64 * 1024, "{} bytes", json.len());
        }
    }
}
