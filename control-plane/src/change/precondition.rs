//! May this be written over what is there? Pure.

use serin_proto::unit::Revision;

use super::{Precondition, Refusal};

/// What is to be done to what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Written, whether or not it exists.
    Put,
    /// Written, if it exists.
    Change,
    Delete,
}

/// `now`: the revision of what is there; `None`: nothing is. `key` is what it is called.
///
/// # Errors
/// [`Refusal::PreconditionRequired`], [`Refusal::UnconditionalDelete`], [`Refusal::Stale`],
/// [`Refusal::NotFound`].
pub(super) fn check(
    precondition: &Precondition,
    intent: Intent,
    now: Option<Revision>,
    key: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    let stale = Err(Refusal::Stale { current: now });
    match (precondition, now) {
        // What lives inside something cannot be asked for where that is not.
        (_, None) if intent == Intent::Change => Err(Refusal::NotFound(key())),
        (Precondition::None, _) if intent == Intent::Delete => Err(Refusal::UnconditionalDelete),
        (Precondition::None, Some(current)) => Err(Refusal::PreconditionRequired { current }),
        (Precondition::None | Precondition::Absent, None) if intent == Intent::Put => Ok(()),
        (Precondition::Exists, Some(_)) => Ok(()),
        (Precondition::OneOf(revisions), Some(now)) if revisions.contains(&now) => Ok(()),
        _ => stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn what_is_there_is_replaced_only_by_who_knows_it() {
        use Intent::{Change, Delete, Put};
        let none = Precondition::None;
        let absent = Precondition::Absent;
        let exists = Precondition::Exists;
        let one = Precondition::OneOf(vec![Revision(3), Revision(7)]);
        let nothing = Precondition::OneOf(vec![]);
        // Precondition, what is done, the revision of what is there, the answer.
        let table = [
            (&none,    Put,    None,    "ok"),
            (&none,    Put,    Some(7), "precondition_required"),
            (&none,    Delete, None,    "precondition_required"),
            (&none,    Delete, Some(7), "precondition_required"),
            (&none,    Change, Some(7), "precondition_required"),
            (&none,    Change, None,    "not_found"),
            (&absent,  Put,    None,    "ok"),
            (&absent,  Put,    Some(7), "stale"),
            (&absent,  Delete, Some(7), "stale"),
            (&absent,  Delete, None,    "stale"),
            (&exists,  Put,    None,    "stale"),
            (&exists,  Put,    Some(7), "ok"),
            (&exists,  Delete, Some(7), "ok"),
            (&exists,  Delete, None,    "stale"),
            (&one,     Put,    Some(7), "ok"),
            (&one,     Put,    Some(8), "stale"),
            (&one,     Put,    None,    "stale"),
            (&one,     Delete, Some(3), "ok"),
            (&one,     Change, Some(3), "ok"),
            (&one,     Change, Some(4), "stale"),
            (&one,     Change, None,    "not_found"),
            (&nothing, Put,    Some(7), "stale"),
        ];
        for (precondition, intent, now, expected) in table {
            let checked = check(precondition, intent, now.map(Revision), || "x".to_owned());
            let told = checked.as_ref().map_or_else(Refusal::code, |()| "ok");
            assert_eq!(told, expected, "{precondition:?} {intent:?} {now:?}");
        }
    }

    #[test]
    fn who_is_too_late_is_told_the_present_revision() {
        let late = Precondition::OneOf(vec![Revision(3)]);
        let refused = check(&late, Intent::Put, Some(Revision(7)), String::new).unwrap_err();
        assert_eq!(refused.current(), Some(Revision(7)));
    }
}
