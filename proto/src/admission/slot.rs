//! What is known of one document: the version that is stored, and older ones that may serve for it.

use std::sync::Arc;

use time::PrimitiveDateTime;

use super::{Serving, Stored};
use crate::{
    address::Networks,
    document::Document,
    fault::{Fault, Pointer},
    fleet::RejectedDocument,
    key::{DocumentKey, Kind},
    unit::Revision,
    validate::{
        self, Context,
        relation::{Claim, Spot, claims, needs},
    },
};

/// When it was created and when it was written, both as store revisions.
pub(super) type Revisions = (Revision, Revision);

/// Whether a version was ever fit to serve beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Unjudged,
    Admitted,
    Refused,
}

/// One value of one key, judged for itself.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) value: Arc<[u8]>,
    pub(super) revisions: Revisions,
    pub(super) standing: Standing,
    reading: Result<Arc<Read>, Arc<[Fault]>>,
}

/// What was read, with what it says of others.
#[derive(Debug)]
pub(super) struct Read {
    document: Arc<Document>,
    pub(super) claims: Vec<(Spot, Claim)>,
    pub(super) needs: Vec<(Spot, DocumentKey)>,
}

/// One document's key, and all that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) key: DocumentKey,
    /// The key as text, after the prefix.
    pub(super) text: String,
    /// Others may need it: its last good form is kept when it is deleted.
    outlives_delete: bool,
    pub(super) stored: Option<Version>,
    /// Versions that are good by themselves, newest first: at most one that was never judged beside
    /// the others, and one that was admitted. None while the stored one serves.
    pub(super) older: Vec<Version>,
}

impl Version {
    /// Reads a value as a router does; also how many unknown fields it has.
    pub(super) fn read(
        key: &DocumentKey,
        value: &[u8],
        revisions: Revisions,
        networks: &Networks,
    ) -> (Self, u64) {
        let (reading, unknown) = match Document::read_tolerant(key.kind, value) {
            Ok(tolerated) => (
                checked(tolerated.document, key, networks),
                tolerated.unknown_fields,
            ),
            Err(fault) => (Err(vec![fault]), 0),
        };
        let version = Self {
            value: value.into(),
            revisions,
            standing: Standing::Unjudged,
            reading: reading.map(Read::of).map_err(Into::into),
        };
        (version, unknown)
    }

    /// What lies under a key that is no document's.
    pub(super) fn stray(key: &str, value: &[u8], revisions: Revisions) -> Self {
        let message = format!("{key:?} is not the key of a document");
        let fault = Fault::new(&Pointer::root(), "bad_name", message);
        Self {
            value: value.into(),
            revisions,
            standing: Standing::Refused,
            reading: Err([fault].into()),
        }
    }

    /// As if it had been read with that fault.
    pub(super) fn with_fault(self, fault: Fault) -> Self {
        let reading = Err([fault].into());
        Self { reading, ..self }
    }

    /// The same value, written again.
    pub(super) fn again(&self, revisions: Revisions) -> Self {
        Self {
            revisions,
            ..self.clone()
        }
    }

    /// None if it is not good for itself.
    pub(super) fn read_as(&self) -> Option<&Read> {
        self.reading.as_deref().ok()
    }

    /// None if it is not good for itself.
    pub(super) fn document(&self) -> Option<&Arc<Document>> {
        self.read_as().map(|read| &read.document)
    }

    /// What is wrong with it for itself.
    pub(super) fn faults(&self) -> &[Fault] {
        self.reading.as_ref().err().map_or(&[], |faults| faults)
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        Stored {
            value: &self.value,
            create_revision: self.revisions.0,
            mod_revision: self.revisions.1,
        }
    }

    pub(super) fn serving(&self) -> Option<Serving> {
        Some(Serving {
            document: Arc::clone(self.document()?),
            mod_revision: self.revisions.1,
            create_revision: self.revisions.0,
        })
    }

    /// As it is reported where nothing serves for it.
    pub(super) fn rejected(&self, key: &str) -> RejectedDocument {
        let first = self.faults().first();
        RejectedDocument {
            key: key.to_owned(),
            mod_revision: self.revisions.1.0,
            code: first.map_or("", |fault| fault.code).to_owned(),
            message: first.map_or("", |fault| &fault.message).to_owned(),
            serving_revision: None,
        }
    }
}

impl Read {
    fn of(document: Document) -> Arc<Self> {
        Arc::new(Self {
            claims: claims(&document),
            needs: needs(&document),
            document: Arc::new(document),
        })
    }
}

impl Slot {
    pub(super) fn empty(key: &DocumentKey) -> Self {
        Self {
            key: key.clone(),
            text: key.to_string(),
            outlives_delete: matches!(key.kind, Kind::Provider | Kind::Tier),
            stored: None,
            older: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stored.is_none() && self.older.is_empty()
    }

    pub(super) fn put(&mut self, version: Version) {
        let before = self.stored.replace(version);
        self.keep(before);
    }

    pub(super) fn put_good(&mut self, version: Version) {
        self.older.push(version);
        // Newest first; of two that are equal the first stays.
        self.older
            .sort_by_key(|version| std::cmp::Reverse(version.revisions.1));
        self.trim();
    }

    pub(super) fn delete(&mut self) {
        let before = self.stored.take();
        self.keep(before);
        if !self.outlives_delete {
            self.older.clear();
        }
    }

    /// Versions that may serve, the most wanted first.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Version> {
        let stored = self
            .stored
            .iter()
            .filter(|version| version.document().is_some());
        stored.chain(&self.older)
    }

    /// Who claims first. What was never stored comes last.
    pub(super) fn created(&self) -> Revision {
        let any = self.stored.as_ref().or(self.older.first());
        any.map_or(Revision(u64::MAX), |version| version.revisions.0)
    }

    pub(super) fn last_good(&self) -> Option<&Version> {
        self.older.first()
    }

    /// Remembers what was found: which version serves, by its revisions.
    pub(super) fn settled(&mut self, serves: Option<Revisions>) {
        let standing = |version: &Version| {
            if Some(version.revisions) == serves {
                Standing::Admitted
            } else {
                Standing::Refused
            }
        };
        if let Some(stored) = &mut self.stored {
            stored.standing = standing(stored);
            if stored.standing == Standing::Admitted {
                self.older.clear();
                return;
            }
        }
        // One that was admitted before and cannot serve now may be able to later.
        self.older.retain(|version| {
            version.standing == Standing::Admitted || Some(version.revisions) == serves
        });
        for version in &mut self.older {
            version.standing = Standing::Admitted;
        }
        self.trim();
    }

    /// Keeps what was stored before, if it was fit to serve or nobody knows.
    fn keep(&mut self, before: Option<Version>) {
        let fit = |version: &Version| {
            version.document().is_some() && version.standing != Standing::Refused
        };
        if let Some(version) = before.filter(fit) {
            self.older.insert(0, version);
            self.trim();
        }
    }

    fn trim(&mut self) {
        for standing in [Standing::Unjudged, Standing::Admitted] {
            let mut first = true;
            self.older
                .retain(|version| version.standing != standing || std::mem::take(&mut first));
        }
    }
}

/// Judges a document for itself, whenever that is: secrets that will expire do not count as live,
/// so that what was good when it was written is good for ever.
fn checked(
    document: Document,
    key: &DocumentKey,
    networks: &Networks,
) -> Result<Document, Vec<Fault>> {
    let context = Context {
        networks: Some(networks.clone()),
        now: Some(PrimitiveDateTime::MAX.assume_utc()),
    };
    let mut faults = validate::document(&document, &context).faults;
    if document.name() != key.name {
        let message = format!("{:?} is stored as {key}", document.name());
        faults.push(Fault::new(
            &Pointer::root().key("name"),
            "bad_name",
            message,
        ));
    }
    if faults.is_empty() {
        Ok(document)
    } else {
        Err(faults)
    }
}
