//! What a documents file comes to, beside the documents that are there. Pure.

use std::collections::BTreeSet;

use serin_proto::{
    Fault, address::Networks, admission::Proposed, document::Document, fault::Pointer,
    key::DocumentKey, v1,
};
use serin_store::{Compare, Key, Op};
use time::OffsetDateTime;

use super::{
    Applied, Difference, KeptTraffic, Refusal, audit, guard,
    guard::Seen,
    judging::{readable, stored_form},
    live, running,
};

/// By what a file is judged besides the documents that are there.
pub(super) struct Judge<'a> {
    pub(super) networks: &'a Networks,
    pub(super) now: OffsetDateTime,
    /// The file's traffic instead of the live one.
    pub(super) replace_traffic: bool,
}

/// What is to be written.
pub(super) struct Plan {
    pub(super) guards: Vec<Compare>,
    /// None: everything is as the file says.
    pub(super) ops: Vec<Op>,
    /// Routes that lose a target, before and after: a rollout, or its undo, may need it.
    pub(super) losing: Vec<(v1::Route, v1::Route)>,
    pub(super) answer: Applied,
}

/// One document of the file, as it would be stored.
struct Merged<'a> {
    at: &'a Pointer,
    key: DocumentKey,
    document: Document,
    /// As it is stored, if it can be read.
    before: Option<Document>,
    kept: Option<KeptTraffic>,
}

/// # Errors
/// [`Refusal::Invalid`] with every fault, [`Refusal::TooLarge`].
pub(super) fn plan(
    documents: &[(Pointer, Document)],
    judge: &Judge<'_>,
    seen: Seen<'_>,
) -> Result<Plan, Refusal> {
    let merged = merged(documents, judge, seen)?;
    merged
        .iter()
        .try_for_each(|one| beside_rollouts(one, seen))?;
    let warnings = judged(&merged, judge, seen)?;
    let mut plan = Plan {
        guards: Vec::new(),
        ops: Vec::new(),
        losing: merged.iter().filter_map(losing).collect(),
        answer: Applied {
            revision: seen.at,
            traffic_kept: merged.iter().filter_map(|one| one.kept.clone()).collect(),
            warnings: warnings.into_iter().map(Into::into).collect(),
            ..Applied::default()
        },
    };
    let is_new = |one: &&Merged<'_>| one.before.as_ref() != Some(&one.document);
    let changed: Vec<&Merged<'_>> = merged.iter().filter(is_new).collect();
    for one in &changed {
        let text = one.key.to_string();
        let stored = seen.admission.stored(&text);
        let revision = stored.map(|stored| stored.mod_revision).unwrap_or_default();
        let key = Key::from(&one.key);
        let bytes = stored_form(&one.document)?;
        plan.guards
            .push(Compare::ModRevision(key.clone(), revision));
        plan.ops.push(Op::Put(key, bytes.into(), None));
        plan.answer.changes.push(Difference {
            key: text,
            before: stored.and_then(|stored| audit::shown_bytes(stored.value)),
            after: audit::shown(&one.document),
        });
    }
    let written: BTreeSet<DocumentKey> = changed.iter().map(|one| one.key.clone()).collect();
    let documents = changed.iter().map(|one| &one.document);
    plan.guards
        .extend(guard::of_apply(documents, &written, seen));
    Ok(plan)
}

fn losing(one: &Merged<'_>) -> Option<(v1::Route, v1::Route)> {
    let (Some(Document::Route(before)), Document::Route(after)) = (&one.before, &one.document)
    else {
        return None;
    };
    let is_kept = |target: &v1::Target| after.targets.iter().any(|now| now.name == target.name);
    let loses = !before.targets.iter().all(is_kept);
    loses.then(|| (before.clone(), after.clone()))
}

/// What a running rollout refuses of a file. Its own traffic stays where it stands in the route.
fn beside_rollouts(one: &Merged<'_>, seen: Seen<'_>) -> Result<(), Refusal> {
    match (&one.before, &one.document) {
        (Some(Document::Route(before)), Document::Route(after)) => {
            running::check_applied(before, after)
        }
        (Some(Document::Provider(before)), Document::Provider(after)) => {
            running::check_provider(before, after, seen.admission)
        }
        _ => Ok(()),
    }
}

fn merged<'a>(
    documents: &'a [(Pointer, Document)],
    judge: &Judge<'_>,
    seen: Seen<'_>,
) -> Result<Vec<Merged<'a>>, Refusal> {
    let (mut all, mut faults) = (Vec::with_capacity(documents.len()), Vec::new());
    for (at, document) in documents {
        match merge(at, document, judge, seen) {
            Ok(one) => all.push(one),
            Err(found) => faults.extend(found.into_iter().map(|fault| placed(at, fault))),
        }
    }
    if faults.is_empty() {
        Ok(all)
    } else {
        Err(Refusal::Invalid(faults))
    }
}

fn merge<'a>(
    at: &'a Pointer,
    document: &Document,
    judge: &Judge<'_>,
    seen: Seen<'_>,
) -> Result<Merged<'a>, Vec<Fault>> {
    let key = document.key();
    let stored = seen.admission.stored(&key.to_string());
    let before = stored.and_then(|stored| readable(key.kind, stored.value));
    let mut one = Merged {
        at,
        key,
        document: document.clone(),
        before,
        kept: None,
    };
    if let (Document::Route(route), Some(Document::Route(before))) =
        (&mut one.document, &one.before)
    {
        one.kept = merge_traffic(route, before, judge.replace_traffic)?;
    }
    Ok(one)
}

/// Gives the route the traffic it will have; tells where that is not what its file says.
fn merge_traffic(
    route: &mut v1::Route,
    before: &v1::Route,
    replace: bool,
) -> Result<Option<KeptTraffic>, Vec<Fault>> {
    let Some(live) = &before.traffic else {
        return Ok(None);
    };
    let at = Pointer::root().key("traffic");
    match route.traffic.take() {
        Some(mut written) if replace => {
            let rollout = live::with_rollout(&mut written, Some(live));
            rollout.map_err(|why| vec![why.fault(&at)])?;
            route.traffic = Some(written);
            Ok(None)
        }
        written => {
            *route = live::keep(std::mem::take(route), live)?;
            let differs = written.filter(|written| !live::is_same(written, live));
            Ok(differs.and_then(|written| kept(&route.name, live, &written)))
        }
    }
}

fn kept(route: &str, live: &v1::Traffic, written: &v1::Traffic) -> Option<KeptTraffic> {
    Some(KeptTraffic {
        route: route.to_owned(),
        live: serde_json::to_value(live).ok()?,
        written: serde_json::to_value(written).ok()?,
    })
}

/// Judges all of the file, what would not be written too: who sends it wants it to be right. Gives
/// the warnings.
fn judged(merged: &[Merged<'_>], judge: &Judge<'_>, seen: Seen<'_>) -> Result<Vec<Fault>, Refusal> {
    let proposed = |one: &Merged<'_>| Proposed {
        key: one.key.clone(),
        document: Some(one.document.clone()),
    };
    let proposed: Vec<Proposed> = merged.iter().map(proposed).collect();
    let mut judgement = seen.admission.judge(&proposed);
    super::judging::add_timely(&mut judgement, &proposed, judge.networks, judge.now);
    let place = |(key, fault): (DocumentKey, Fault)| {
        let one = merged.iter().find(|one| one.key == key);
        one.map_or_else(|| fault.clone(), |one| placed(one.at, fault.clone()))
    };
    if judgement.faults.is_empty() {
        Ok(judgement.warnings.into_iter().map(place).collect())
    } else {
        Err(Refusal::Invalid(
            judgement.faults.into_iter().map(place).collect(),
        ))
    }
}

/// A fault's pointer as seen from the file.
fn placed(at: &Pointer, fault: Fault) -> Fault {
    Fault {
        pointer: format!("{}{}", at.as_str(), fault.pointer),
        ..fault
    }
}
