//! Every fault of a set of documents, not the first, and what their author should be warned of.
//!
//! Pure: what the documents do not hold (the time, the networks another file allows) is in the
//! [`Context`]. The same documents in the same context are judged alike by everyone. One file per
//! kind of document, `across.rs` for what only shows when they stand side by side.
//! Not here: types and unknown fields (`json.rs`), line and column (`yaml.rs`).

mod across;
mod findings;
mod key;
mod pending;
mod policy;
mod provider;
pub(crate) mod relation;
mod rollout;
mod route;
mod server;
mod traffic;

use time::OffsetDateTime;

pub use findings::Findings;

use crate::{
    address::{Network, Networks},
    document::Document,
    fault::{Fault, Pointer},
    v1,
};

/// What the documents are judged by besides themselves.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Private ranges a provider may be in. `None`: those of the file's own `server` block.
    pub networks: Option<Networks>,
    /// Secrets that have expired by then do not count as live. `None`: each counts.
    pub now: Option<OffsetDateTime>,
}

/// Judges a whole file.
pub fn validate(file: &v1::File, context: &Context) -> Findings {
    let mut findings = Findings::default();
    each(file, context, &mut findings);
    across::check(file, &mut findings);
    pending::check(file, &mut findings);
    findings
}

/// Judges a document alone, as it is stored: a key's secrets are digests by then.
pub(crate) fn document(document: &Document, context: &Context) -> Findings {
    let mut findings = Findings::default();
    let at = Pointer::root();
    match document {
        Document::Provider(provider) => {
            let networks = context.networks.clone().unwrap_or_default();
            provider::check(provider, &networks, &at, &mut findings);
        }
        Document::Tier(tier) => key::check_tier(tier, &at, &mut findings),
        Document::Key(key) => {
            key::check(key, context.now, &at, &mut findings);
            key::check_stored(key, &mut findings);
        }
        Document::Route(route) => route::check(route, &at, &mut findings),
    }
    findings
}

/// What a document has that is not yet enforced, as warnings.
pub(crate) fn pending(document: &Document, findings: &mut Findings) {
    pending::check_document(document, findings);
}

/// Judges the plan of a rollout by itself. Pointers begin at the plan.
pub fn rollout(plan: &v1::Rollout) -> Findings {
    let mut findings = Findings::default();
    rollout::check(plan, &Pointer::root(), &mut findings);
    findings
}

/// Judges a token of the control plane.
pub(crate) fn token(token: &v1::Token) -> Findings {
    let mut findings = Findings::default();
    key::check_token(token, &mut findings);
    findings
}

/// Codes of faults that a value which was not read can cause elsewhere in its document.
const RESTS_ON_OTHERS: [&str; 4] = [
    "missing",
    "unknown_target",
    "longer_than_total",
    "steps_do_not_rise",
];

/// Judges a file some of whose values could not be read, and adds the faults that `unreadable` does
/// not explain: a name that was not read must not look like one that is not there.
pub(crate) fn beside(file: &v1::File, context: &Context, unreadable: Vec<Fault>) -> Findings {
    let mut findings = Findings::default();
    each(file, context, &mut findings);
    let follows = |fault: &Fault, lost: &Fault| {
        is_inside(&fault.pointer, &lost.pointer)
            || is_inside(&lost.pointer, &fault.pointer)
            || RESTS_ON_OTHERS.contains(&fault.code)
                && of_document(&fault.pointer) == of_document(&lost.pointer)
    };
    findings
        .faults
        .retain(|fault| !unreadable.iter().any(|lost| follows(fault, lost)));
    let lists_are_whole = unreadable
        .iter()
        .all(|lost| lost.pointer.matches('/').count() > 1);
    if lists_are_whole && across::all_are_named(file) {
        across::check(file, &mut findings);
    }
    findings.faults.extend(unreadable);
    findings
}

/// Each document for itself.
fn each(file: &v1::File, context: &Context, findings: &mut Findings) {
    let root = Pointer::root();
    let own_networks = || {
        let texts = file
            .server
            .iter()
            .flat_map(|server| &server.allowed_networks);
        // One that does not parse is a fault of the server block.
        texts
            .filter_map(|text| text.parse::<Network>().ok())
            .collect()
    };
    let networks = context.networks.clone().unwrap_or_else(own_networks);
    if let Some(server) = &file.server {
        server::check(server, &root.key("server"), findings);
    }
    for (i, document) in file.providers.iter().enumerate() {
        provider::check(document, &networks, &root.key("providers").at(i), findings);
    }
    for (i, document) in file.routes.iter().enumerate() {
        route::check(document, &root.key("routes").at(i), findings);
    }
    for (i, document) in file.keys.iter().enumerate() {
        key::check(document, context.now, &root.key("keys").at(i), findings);
    }
    for (i, document) in file.tiers.iter().enumerate() {
        key::check_tier(document, &root.key("tiers").at(i), findings);
    }
    for (i, document) in file.rollouts.iter().enumerate() {
        rollout::check(document, &root.key("rollouts").at(i), findings);
    }
}

/// The part of a pointer that names the document: its list and its index.
fn of_document(pointer: &str) -> &str {
    let end = pointer
        .match_indices('/')
        .nth(2)
        .map_or(pointer.len(), |(end, _)| end);
    pointer.get(..end).unwrap_or(pointer)
}

fn is_inside(pointer: &str, outer: &str) -> bool {
    pointer
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
