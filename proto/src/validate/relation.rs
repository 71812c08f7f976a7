//! What a document says that others must confirm: texts it alone may have, documents it needs.
//!
//! Told once, for both who judge documents side by side: `across.rs` those of a file, `admission`
//! those of a store. So the two cannot differ in what a document means.

use crate::{
    document::Document,
    fault::Pointer,
    key::{DocumentKey, Kind},
    suggest::nearest,
    v1,
};

/// A place where a document speaks of others; the numbers are indexes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    Name,
    Alias(usize),
    /// The provider of that target.
    Provider(usize),
    Tier,
    /// A route that a key may use.
    Route(usize),
    Secret(usize),
}

/// A text that one document alone may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Claim {
    /// What callers send as "model": a route's name or alias.
    Model(String),
    /// A digest in lower case: one secret admits one caller.
    Secret(String),
}

impl Spot {
    /// Its pointer, where `document` is the pointer of the document.
    pub(crate) fn pointer(self, document: &Pointer) -> Pointer {
        match self {
            Self::Name => document.key("name"),
            Self::Alias(i) => document.key("aliases").at(i),
            Self::Provider(i) => document.key("targets").at(i).key("provider"),
            Self::Tier => document.key("tier"),
            Self::Route(i) => document.key("routes").at(i),
            Self::Secret(i) => document.key("secrets").at(i).key("sha256"),
        }
    }
}

impl Claim {
    /// The code of a second document that has it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Model(_) => "alias_taken",
            Self::Secret(_) => "duplicate_secret",
        }
    }

    /// What is wrong, where `holder` has it already, at `spot`. A digest is not repeated.
    pub(crate) fn taken(&self, holder: &str, spot: Spot) -> String {
        match (self, spot) {
            (Self::Secret(_), _) => format!("is already a secret of key {holder}"),
            (Self::Model(text), Spot::Name) => {
                format!("{text:?} is already the name of route {holder}")
            }
            (Self::Model(text), _) => format!("{text:?} is already an alias of route {holder}"),
        }
    }
}

/// What the document claims, its name first. What it leaves empty it does not claim.
pub(crate) fn claims(document: &Document) -> Vec<(Spot, Claim)> {
    match document {
        Document::Route(route) => route_claims(route).collect(),
        Document::Key(key) => key_claims(key).collect(),
        Document::Provider(_) | Document::Tier(_) => Vec::new(),
    }
}

pub(crate) fn route_claims(route: &v1::Route) -> impl Iterator<Item = (Spot, Claim)> + '_ {
    let aliases = route.aliases.iter().enumerate();
    std::iter::once((Spot::Name, &route.name))
        .chain(aliases.map(|(i, alias)| (Spot::Alias(i), alias)))
        .filter(|(_, text)| !text.is_empty())
        .map(|(spot, text)| (spot, Claim::Model(text.clone())))
}

pub(crate) fn key_claims(key: &v1::Key) -> impl Iterator<Item = (Spot, Claim)> + '_ {
    let secrets = key.secrets.iter().enumerate();
    secrets
        .filter(|(_, secret)| !secret.sha256.is_empty())
        .map(|(i, secret)| {
            let digest = secret.sha256.to_ascii_lowercase();
            (Spot::Secret(i), Claim::Secret(digest))
        })
}

/// The documents without which it cannot be used.
pub(crate) fn needs(document: &Document) -> Vec<(Spot, DocumentKey)> {
    match document {
        Document::Route(route) => route_needs(route).collect(),
        Document::Key(key) => key_needs(key).collect(),
        Document::Provider(_) | Document::Tier(_) => Vec::new(),
    }
}

pub(crate) fn route_needs(route: &v1::Route) -> impl Iterator<Item = (Spot, DocumentKey)> + '_ {
    let targets = route.targets.iter().enumerate();
    let providers = targets.map(|(i, target)| (Spot::Provider(i), &target.provider));
    providers.filter_map(|(spot, name)| Some((spot, needed(Kind::Provider, name)?)))
}

pub(crate) fn key_needs(key: &v1::Key) -> impl Iterator<Item = (Spot, DocumentKey)> + '_ {
    let tier = needed(Kind::Tier, &key.tier);
    tier.map(|tier| (Spot::Tier, tier)).into_iter()
}

/// The code of a document that needs one which is not there.
pub(crate) fn unknown(kind: Kind) -> &'static str {
    match kind {
        Kind::Provider => "unknown_provider",
        Kind::Tier => "unknown_tier",
        Kind::Route | Kind::Key => "unknown_route",
    }
}

/// What is wrong with a need, with the known name that is nearest.
pub(crate) fn no_such<'a>(need: &DocumentKey, known: impl Iterator<Item = &'a str>) -> String {
    let DocumentKey { kind, name } = need;
    let kind = kind.singular();
    match nearest(name, known) {
        Some(near) => format!("there is no {kind} {name:?}; did you mean {near}?"),
        None => format!("there is no {kind} {name:?}"),
    }
}

/// The routes that a key names. One that is not there is warned of, no more.
pub(crate) fn key_routes(key: &v1::Key) -> impl Iterator<Item = (Spot, DocumentKey)> + '_ {
    let routes = key
        .routes
        .iter()
        .enumerate()
        .filter(|(_, route)| *route != "*");
    routes.filter_map(|(i, route)| Some((Spot::Route(i), needed(Kind::Route, route)?)))
}

fn needed(kind: Kind, name: &str) -> Option<DocumentKey> {
    let name = (!name.is_empty()).then(|| name.to_owned())?;
    Some(DocumentKey { kind, name })
}
