//! One document by itself: read strictly (API, files) or tolerantly (a store's value), checked,
//! printed.
//!
//! Both readings walk the same descriptors and differ in one thing: a field that is not known is a
//! fault for who writes, and is counted and skipped by who follows a store.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Fault,
    fault::Pointer,
    json,
    key::{DocumentKey, Kind},
    tree::{Node, Value},
    v1,
    validate::{self, Context, Findings},
    yaml,
};

/// Largest document in bytes of JSON.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// One document of any kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "those that are kept are behind an Arc, and most are routes"
)]
pub enum Document {
    Provider(v1::Provider),
    Tier(v1::Tier),
    Key(v1::Key),
    Route(v1::Route),
}

/// What a tolerant reading found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerated {
    pub document: Document,
    /// Fields that this version does not know, skipped, at whatever depth. What is inside one of
    /// them is not counted.
    pub unknown_fields: u64,
}

/// The body of a call that changes something.
#[derive(Clone, Debug, PartialEq)]
pub struct Body<T> {
    pub value: T,
    /// Why, for the audit record; empty if the caller gives none.
    pub reason: String,
}

impl Document {
    /// Reads the JSON of an API call. Unknown fields and wrong types are faults, all of them, with
    /// pointers that begin at the document (`/traffic/weights`).
    ///
    /// # Errors
    /// Every fault of form, with line and column. What the values mean is for [`Self::check`].
    pub fn read_strict(kind: Kind, json: &[u8]) -> Result<Self, Vec<Fault>> {
        let tree = parse(json).map_err(|fault| vec![fault])?;
        let (json, faults) = json::strict(&tree, message(kind));
        if !faults.is_empty() {
            return Err(faults);
        }
        Self::decode(kind, json).map_err(|fault| vec![fault])
    }

    /// Reads a store's value, as a router does: unknown fields are counted and skipped.
    ///
    /// # Errors
    /// The first fault: no JSON (`unreadable`), a wrong type, over [`DOCUMENT_BYTES_MAX`]
    /// (`document_too_large`).
    pub fn read_tolerant(kind: Kind, json: &[u8]) -> Result<Tolerated, Fault> {
        let tree = parse(json).map_err(|fault| match fault.code {
            "syntax" => Fault {
                code: "unreadable",
                ..fault
            },
            _ => fault,
        })?;
        let (json, faults, unknown_fields) = json::tolerant(&tree, message(kind));
        if let Some(first) = faults.into_iter().next() {
            return Err(first);
        }
        Ok(Tolerated {
            document: Self::decode(kind, json)?,
            unknown_fields,
        })
    }

    /// Everything about the document alone, as it would be stored, with pointers that begin at it.
    /// A key's secrets must be digests by now.
    pub fn check(&self, context: &Context) -> Findings {
        let mut findings = validate::document(self, context);
        validate::pending(self, &mut findings);
        findings
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Provider(_) => Kind::Provider,
            Self::Tier(_) => Kind::Tier,
            Self::Key(_) => Kind::Key,
            Self::Route(_) => Kind::Route,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Provider(document) => &document.name,
            Self::Tier(document) => &document.name,
            Self::Key(document) => &document.name,
            Self::Route(document) => &document.name,
        }
    }

    pub fn key(&self) -> DocumentKey {
        DocumentKey {
            kind: self.kind(),
            name: self.name().to_owned(),
        }
    }

    /// Takes the name of the URL it was sent to, if it has none of its own.
    pub fn name_if_unnamed(&mut self, name: &str) {
        let own = match self {
            Self::Provider(document) => &mut document.name,
            Self::Tier(document) => &mut document.name,
            Self::Key(document) => &mut document.name,
            Self::Route(document) => &mut document.name,
        };
        if own.is_empty() {
            name.clone_into(own);
        }
    }

    /// Its proto3 JSON, as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        fn json(document: &impl Serialize) -> Vec<u8> {
            serde_json::to_vec(document).unwrap_or_default()
        }
        match self {
            Self::Provider(document) => json(document),
            Self::Tier(document) => json(document),
            Self::Key(document) => json(document),
            Self::Route(document) => json(document),
        }
    }

    fn decode(kind: Kind, json: serde_json::Value) -> Result<Self, Fault> {
        Ok(match kind {
            Kind::Provider => Self::Provider(decode(json)?),
            Kind::Tier => Self::Tier(decode(json)?),
            Kind::Key => Self::Key(decode(json)?),
            Kind::Route => Self::Route(decode(json)?),
        })
    }
}

/// The documents of a file, providers and tiers before what names them, each with its pointer
/// (`/routes/3`).
pub fn documents(file: v1::File) -> Vec<(Pointer, Document)> {
    fn placed<T>(
        kind: Kind,
        list: Vec<T>,
        of: fn(T) -> Document,
    ) -> impl Iterator<Item = (Pointer, Document)> {
        let at = Pointer::root().key(kind.plural());
        let place = move |(i, document)| (at.at(i), of(document));
        list.into_iter().enumerate().map(place)
    }
    placed(Kind::Provider, file.providers, Document::Provider)
        .chain(placed(Kind::Tier, file.tiers, Document::Tier))
        .chain(placed(Kind::Route, file.routes, Document::Route))
        .chain(placed(Kind::Key, file.keys, Document::Key))
        .collect()
}

/// Reads the body of `POST /apply`: the lists of a file, and `reason`. The documents are not judged.
///
/// # Errors
/// Every fault of form, with pointers that begin at the body (`/routes/0/nmae`).
pub fn read_file_strict(json: &[u8]) -> Result<Body<v1::File>, Vec<Fault>> {
    body(json::parse(json), "serin.v1.File")
}

/// [`read_file_strict`] of YAML.
///
/// # Errors
/// As [`read_file_strict`], each fault with its line and column.
pub fn read_yaml_file_strict(yaml: &[u8]) -> Result<Body<v1::File>, Vec<Fault>> {
    let no_text = |_| Fault::new(&Pointer::root(), "syntax", "not valid YAML: it is no UTF-8");
    let tree = str::from_utf8(yaml).map_err(no_text).and_then(yaml::parse);
    body(tree, "serin.v1.File")
}

/// Reads the body of `PUT /routes/{name}/traffic`: the whole of a route's traffic, and `reason`. It
/// is not judged.
///
/// # Errors
/// Every fault of form, with pointers that begin at the body (`/weights/gpt`).
pub fn read_traffic_strict(json: &[u8]) -> Result<Body<v1::Traffic>, Vec<Fault>> {
    body(json::parse(json), "serin.v1.Traffic")
}

/// Reads the body of `POST /routes/{name}/rollouts`: a rollout's plan, and `reason`. It is not judged.
///
/// # Errors
/// Every fault of form, with pointers that begin at the body (`/steps/0/wieght`). Where those are
/// unknown fields alone the rest is judged, so that all faults are told at once.
pub fn read_rollout_strict(json: &[u8]) -> Result<Body<v1::Rollout>, Vec<Fault>> {
    let read = body(json::parse(json), "serin.v1.Rollout");
    read.map_err(|mut faults| {
        faults.extend(of_the_rest(json, &faults));
        faults
    })
}

/// What else is wrong with a plan that has unknown fields.
fn of_the_rest(json: &[u8], known: &[Fault]) -> Vec<Fault> {
    let Ok(mut tree) = json::parse(json) else {
        return Vec::new();
    };
    if known.iter().any(|fault| fault.code != "unknown_field") || take_reason(&mut tree).is_err() {
        return Vec::new();
    }
    let (json, ..) = json::tolerant(&tree, "serin.v1.Rollout");
    let plan = decode::<v1::Rollout>(json);
    plan.map_or_else(|_| Vec::new(), |plan| validate::rollout(&plan).faults)
}

fn body<T: DeserializeOwned>(
    tree: Result<Node, Fault>,
    message: &str,
) -> Result<Body<T>, Vec<Fault>> {
    let mut tree = tree.map_err(|fault| vec![fault])?;
    let reason = take_reason(&mut tree);
    let (json, mut faults) = json::strict(&tree, message);
    match reason {
        Ok(reason) if faults.is_empty() => Ok(Body {
            value: decode(json).map_err(|fault| vec![fault])?,
            reason,
        }),
        Ok(_) => Err(faults),
        Err(fault) => {
            faults.push(fault);
            Err(faults)
        }
    }
}

/// A second `reason` stays, and is an unknown field.
fn take_reason(body: &mut Node) -> Result<String, Fault> {
    let Value::Map(entries) = &mut body.value else {
        return Ok(String::new());
    };
    let Some(i) = entries.iter().position(|entry| entry.key == "reason") else {
        return Ok(String::new());
    };
    let entry = entries.remove(i);
    match entry.node.value {
        Value::Text(reason) => Ok(reason),
        Value::Null => Ok(String::new()),
        other => {
            let message = format!("needs text, found {}", other.kind());
            let mut fault = Fault::new(&Pointer::root().key("reason"), "wrong_type", message);
            fault.line = Some(entry.place.line);
            fault.column = Some(entry.place.column);
            Err(fault)
        }
    }
}

pub(crate) fn parse(json: &[u8]) -> Result<Node, Fault> {
    if json.len() > DOCUMENT_BYTES_MAX {
        return Err(too_large(json.len()));
    }
    json::parse(json)
}

pub(crate) fn too_large(bytes: usize) -> Fault {
    let message = format!(
        "is {bytes} bytes long, at most {} KiB",
        DOCUMENT_BYTES_MAX / 1024
    );
    Fault::new(&Pointer::root(), "document_too_large", message)
}

fn message(kind: Kind) -> &'static str {
    match kind {
        Kind::Provider => "serin.v1.Provider",
        Kind::Tier => "serin.v1.Tier",
        Kind::Key => "serin.v1.Key",
        Kind::Route => "serin.v1.Route",
    }
}

/// The walk left nothing that the generated types do not take; serde's own words could repeat a
/// value, so they are not told.
pub(crate) fn decode<T: DeserializeOwned>(json: serde_json::Value) -> Result<T, Fault> {
    serde_json::from_value(json)
        .map_err(|_| Fault::new(&Pointer::root(), "not_decodable", "cannot be decoded"))
}

#[cfg(test)]
mod tests;
