//! Is the whole result right? Asked of the view, which is what routers would make of it.

use serin_proto::{
    Fault,
    address::Networks,
    admission::{Judgement, Proposed},
    document::{DOCUMENT_BYTES_MAX, Document},
    key::{DocumentKey, Kind},
    unit::Revision,
    validate::Context,
};
use time::OffsetDateTime;

use super::{Refusal, guard::Seen};
use crate::{clock, plane::Plane};

/// How old a view may be that judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Good news may be old, as guards hold it; bad news must be as new as this revision.
    ToRefuse(Revision),
    /// Nothing will be guarded: all news must be as new as this revision.
    ToAnswer(Revision),
}

/// What the view says of a change, and what else was looked up in it at the same revision.
pub(super) struct Verdict<T> {
    pub(super) judgement: Judgement,
    pub(super) looked: T,
}

/// Judges changes.
///
/// # Errors
/// [`Refusal::StoreUnavailable`]: the view is too old and does not catch up.
pub(super) async fn judge<T>(
    plane: &Plane,
    changes: &[Proposed],
    freshness: Freshness,
    look: impl Fn(Seen<'_>) -> T,
) -> Result<Verdict<T>, Refusal> {
    let as_of = match freshness {
        Freshness::ToRefuse(as_of) => {
            let seen = plane.view.look(|admission, at| {
                let seen = Seen { admission, at };
                (verdict(plane, changes, seen, &look), at)
            });
            if let Some((verdict, at)) = seen
                && (verdict.judgement.faults.is_empty() || at >= as_of)
            {
                return Ok(verdict);
            }
            as_of
        }
        Freshness::ToAnswer(as_of) => as_of,
    };
    plane.view.caught_up(as_of).await?;
    let seen = plane.view.look(|admission, at| {
        let seen = Seen { admission, at };
        verdict(plane, changes, seen, &look)
    });
    seen.ok_or_else(|| Refusal::Internal("a view that caught up has seen nothing".to_owned()))
}

fn verdict<T>(
    plane: &Plane,
    changes: &[Proposed],
    seen: Seen<'_>,
    look: impl Fn(Seen<'_>) -> T,
) -> Verdict<T> {
    let mut judgement = seen.admission.judge(changes);
    let networks = &plane.settings.allowed_networks;
    add_timely(&mut judgement, changes, networks, clock::wall());
    Verdict {
        judgement,
        looked: look(seen),
    }
}

/// Adds the faults that depend on the day: how many secrets of a key are live.
pub(super) fn add_timely(
    judgement: &mut Judgement,
    changes: &[Proposed],
    networks: &Networks,
    now: OffsetDateTime,
) {
    let context = Context {
        networks: Some(networks.clone()),
        now: Some(now),
    };
    for change in changes {
        let Some(document @ Document::Key(_)) = &change.document else {
            continue;
        };
        for fault in document.check(&context).faults {
            let known = (change.key.clone(), fault);
            if !judgement.faults.contains(&known) {
                judgement.faults.push(known);
            }
        }
    }
}

/// Faults about one document alone, whichever they were told with.
pub(super) fn faults(judged: Vec<(DocumentKey, Fault)>) -> Vec<Fault> {
    judged.into_iter().map(|(_, fault)| fault).collect()
}

/// What may be stored of a document.
///
/// # Errors
/// [`Refusal::TooLarge`] over [`DOCUMENT_BYTES_MAX`].
pub(super) fn stored_form(document: &Document) -> Result<Vec<u8>, Refusal> {
    let bytes = document.to_json();
    check_size(&document.key().to_string(), bytes.len())?;
    Ok(bytes)
}

/// # Errors
/// [`Refusal::TooLarge`] over [`DOCUMENT_BYTES_MAX`].
pub(super) fn check_size(what: &str, bytes: usize) -> Result<(), Refusal> {
    if bytes <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    let most = DOCUMENT_BYTES_MAX / 1024;
    Err(Refusal::TooLarge(format!(
        "{what} is {bytes} bytes long, at most {most} KiB"
    )))
}

/// A stored value as a document, if a router could read it.
pub(super) fn readable(kind: Kind, value: &[u8]) -> Option<Document> {
    let tolerated = Document::read_tolerant(kind, value).ok()?;
    Some(tolerated.document)
}
