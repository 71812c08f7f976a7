//! The documents of files as they are applied: read, checked, in order, in parts that a control
//! plane takes, each document still knowing where it was written.
//!
//! `serin apply` and `serin up` share this, so both send the same and tell faults alike. Documents
//! go in the order in which they rest on each other: providers, tiers, routes, keys. A part is all
//! or nothing; few files need more than one.

use std::{
    collections::{HashMap, HashSet},
    fmt, fs,
    io::{self, Read as _},
    path::PathBuf,
    sync::OnceLock,
};

use serde_json::{Map, Value};
use serin_proto::{
    Fault,
    address::Networks,
    document::Document,
    key::{DocumentKey, Kind},
    v1,
    yaml::Places,
};
use serin_store::file::{self, Unusable};

use crate::{exit::Failed, fit};

/// Most documents of one part.
pub(crate) const DOCUMENTS_MAX: usize = 100;
/// Most bytes of one part's documents: 1.4 MiB, less what stands around them.
pub(crate) const BYTES_MAX: usize = 1_468_006 - 4_096;

/// The order of kinds.
const ORDER: [Kind; 4] = [Kind::Provider, Kind::Tier, Kind::Route, Kind::Key];

/// What some files hold, in order.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    texts: Vec<Text>,
    pub(crate) documents: Vec<Placed>,
    pub(crate) warnings: Vec<Fault>,
    /// Rollouts that were read: they are started, never applied.
    pub(crate) rollouts: usize,
}

/// A file as it was read.
#[derive(Debug)]
struct Text {
    name: String,
    text: String,
    /// Read when the first fault wants to know.
    places: OnceLock<Option<Places>>,
}

/// One document and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) document: Document,
    /// Which text, and its place in that text's list.
    text: usize,
    index: usize,
}

/// A fault with its place: `serin.yaml:12:7: /routes/0/traffic: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) place: Option<(String, u32, u32)>,
    pub(crate) pointer: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line, column)) = &self.place {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

impl Placed {
    /// The documents without which this one cannot be.
    fn names(&self) -> Vec<DocumentKey> {
        let key = |kind, name: &String| DocumentKey {
            kind,
            name: name.clone(),
        };
        match &self.document {
            Document::Route(route) => {
                let providers = route.targets.iter().map(|target| &target.provider);
                providers.map(|name| key(Kind::Provider, name)).collect()
            }
            Document::Key(document) if !document.tier.is_empty() => {
                vec![key(Kind::Tier, &document.tier)]
            }
            _ => Vec::new(),
        }
    }
}

impl Bundle {
    /// Reads files; `-` is standard input. Providers may be anywhere that no rule forbids: which
    /// private ranges are allowed is the server's to say.
    ///
    /// # Errors
    /// Every fault of every file, one a line.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Failed> {
        let everywhere = Networks::parse(&["0.0.0.0/0", "::/0"])
            .map_err(|(_, bad)| Failed::because(bad.to_string()))?;
        let mut bundle = Self::default();
        let mut faults = Vec::new();
        for path in files {
            let name = path.display().to_string();
            let (name, read) = if name == "-" {
                ("stdin".to_owned(), read_stdin())
            } else {
                (name, fs::read_to_string(path))
            };
            match read {
                Ok(text) => {
                    let unusable = bundle.add(&name, text, &everywhere).err();
                    let told = unusable.map(|unusable| unusable.to_string());
                    faults.extend(told.iter().flat_map(|told| told.lines()).map(str::to_owned));
                }
                Err(error) => faults.push(format!("cannot read {name}: {error}")),
            }
        }
        bundle.sort();
        faults.extend(bundle.named_twice());
        if faults.is_empty() {
            Ok(bundle)
        } else {
            Err(Failed::because(fit::first_of(faults).join("\n")))
        }
    }

    /// One text that is at hand already.
    ///
    /// # Errors
    /// Every fault.
    pub(crate) fn of_text(name: &str, text: String, networks: &Networks) -> Result<Self, Unusable> {
        let mut bundle = Self::default();
        bundle.add(name, text, networks)?;
        bundle.sort();
        Ok(bundle)
    }

    fn add(&mut self, name: &str, text: String, networks: &Networks) -> Result<(), Unusable> {
        let version = file::read_part(name, &text, Some(networks))?;
        let number = self.texts.len();
        self.texts.push(Text {
            name: name.to_owned(),
            text,
            places: OnceLock::new(),
        });
        self.warnings.extend(version.warnings);
        self.rollouts += version.file.rollouts.len();
        self.documents
            .extend(documents(version.file).map(|(document, index)| Placed {
                document,
                text: number,
                index,
            }));
        Ok(())
    }

    fn sort(&mut self) {
        // Stable: within a kind documents stay in the order they were written.
        self.documents
            .sort_by_key(|placed| rank(placed.document.kind()));
    }

    /// One name in two files would be written twice.
    fn named_twice(&self) -> Vec<String> {
        let mut seen = HashMap::new();
        let mut faults = Vec::new();
        for placed in &self.documents {
            if let Some(first) = seen.insert(placed.document.key(), placed.text) {
                let (first, second) = (&self.texts[first].name, &self.texts[placed.text].name);
                let key = placed.document.key();
                faults.push(format!(
                    "{second}: {} {} is in {first} too",
                    key.kind.plural(),
                    key.name
                ));
            }
        }
        faults
    }

    /// The documents in parts that each fit into one change.
    pub(crate) fn parts(&self) -> Vec<&[Placed]> {
        let mut parts = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (at, placed) in self.documents.iter().enumerate() {
            let size = placed.document.to_json().len();
            if at > start && (at - start == DOCUMENTS_MAX || bytes + size > BYTES_MAX) {
                parts.push(&self.documents[start..at]);
                (start, bytes) = (at, 0);
            }
            bytes += size;
        }
        if start < self.documents.len() {
            parts.push(&self.documents[start..]);
        }
        parts
    }

    /// A part and what it names of earlier ones: in a dry run those were not written.
    pub(crate) fn with_needs(&self, part: &[Placed]) -> Vec<Placed> {
        let named: HashSet<DocumentKey> = part.iter().flat_map(Placed::names).collect();
        let own: HashSet<DocumentKey> = part.iter().map(|placed| placed.document.key()).collect();
        let is_needed = |placed: &&Placed| {
            let key = placed.document.key();
            named.contains(&key) && !own.contains(&key)
        };
        let needed = self.documents.iter().filter(is_needed);
        needed.chain(part).cloned().collect()
    }

    /// Where a fault of a part was written. `pointer` is relative to the part.
    pub(crate) fn locate(&self, part: &[Placed], told: (&str, &str, &str)) -> Located {
        let (pointer, code, message) = told;
        let mut located = Located {
            place: None,
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let mut pieces = pointer.splitn(4, '/').skip(1);
        let found = pieces
            .next()
            .zip(pieces.next())
            .and_then(|(plural, index)| {
                let index: usize = index.parse().ok()?;
                part.iter()
                    .filter(|placed| placed.document.kind().plural() == plural)
                    .nth(index)
            });
        if let Some(placed) = found {
            let rest = pieces
                .next()
                .map_or(String::new(), |rest| format!("/{rest}"));
            let plural = placed.document.kind().plural();
            located.pointer = format!("/{plural}/{}{rest}", placed.index);
            located.place = self.place(placed.text, &located.pointer);
        }
        located
    }

    /// Whether [`Self::warnings`] say it already. What is not built yet is told there once for a
    /// whole file, not for each document.
    pub(crate) fn tells(&self, located: &Located) -> bool {
        let text = located.to_string();
        let summed_up = |code: &str| code == "not_yet_enforced" && code == located.code;
        self.warnings
            .iter()
            .any(|known| summed_up(known.code) || known.to_string() == text)
    }

    /// Targets of routes that have no price.
    pub(crate) fn unpriced(&self) -> Vec<Located> {
        let mut found = Vec::new();
        for placed in &self.documents {
            let Document::Route(route) = &placed.document else {
                continue;
            };
            let unpriced = route.targets.iter().enumerate().filter(|(_, target)| {
                target
                    .price
                    .as_ref()
                    .is_none_or(|price| price.input.is_none())
            });
            for (index, target) in unpriced {
                let pointer = format!("/routes/{}/targets/{index}", placed.index);
                found.push(Located {
                    place: self.place(placed.text, &pointer),
                    pointer,
                    code: "missing_price".to_owned(),
                    message: format!("target {} has no price (--require-price)", target.name),
                });
            }
        }
        found
    }

    fn place(&self, text: usize, pointer: &str) -> Option<(String, u32, u32)> {
        let text = self.texts.get(text)?;
        let places = text.places.get_or_init(|| Places::of(&text.text));
        let (line, column) = places.as_ref()?.find(pointer);
        Some((text.name.clone(), line, column))
    }
}

/// A part as the body of `POST /apply`.
pub(crate) fn body(part: &[Placed], reason: Option<&str>) -> String {
    let mut lists = Map::new();
    for placed in part {
        let list = lists
            .entry(placed.document.kind().plural())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list {
            items.push(serde_json::from_slice(&placed.document.to_json()).unwrap_or_default());
        }
    }
    if let Some(reason) = reason {
        lists.insert("reason".to_owned(), reason.into());
    }
    Value::Object(lists).to_string()
}

fn documents(file: v1::File) -> impl Iterator<Item = (Document, usize)> {
    let providers = file
        .providers
        .into_iter()
        .map(Document::Provider)
        .enumerate();
    let tiers = file.tiers.into_iter().map(Document::Tier).enumerate();
    let routes = file.routes.into_iter().map(Document::Route).enumerate();
    let keys = file.keys.into_iter().map(Document::Key).enumerate();
    let all = providers.chain(tiers).chain(routes).chain(keys);
    all.map(|(index, document)| (document, index))
}

fn rank(kind: Kind) -> usize {
    ORDER
        .iter()
        .position(|other| *other == kind)
        .unwrap_or(ORDER.len())
}

fn read_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map(|_| text)
}

#[cfg(test)]
mod tests;
