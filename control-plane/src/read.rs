//! What is stored, as readers may see it. Answered from the store, never from the view: a replica
//! must see what its neighbour wrote.

use serde_json::Value as Json;
use serin_proto::{
    Fault,
    document::Document,
    fault::Pointer,
    key::{DocumentKey, Kind, StoreKey},
    name::is_name,
    token::Token,
    unit::Revision,
};
use serin_store::{Entry, Key, Page, Scope};

use crate::{
    auth::{Actor, Right},
    change::Refusal,
    plane::Plane,
    secret::cut_digests,
};

/// Most entries that are read from the store at once.
const ENTRIES_MAX: usize = 500;
/// Most audit records that one page of a filtered listing looks at.
const LOOKED_AT_MAX: usize = 10_000;

/// One thing that is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    /// The last piece of its key.
    pub(crate) name: String,
    /// Its ETag.
    pub(crate) revision: Revision,
    pub(crate) json: Json,
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Shown>,
    /// What lies in the store under a name of this list and cannot be read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Asks for what comes next; `None`: there is nothing.
    pub(crate) next_page_token: Option<String>,
    /// Of the store when it was read: the list's ETag, and where `/watch` goes on.
    pub(crate) revision: Revision,
}

/// A stored value that is no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) name: String,
    pub(crate) revision: Revision,
    pub(crate) why: String,
}

/// Which part of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// At least 1.
    pub(crate) limit: usize,
    /// As an earlier answer gave it.
    pub(crate) page_token: Option<String>,
}

/// Which audit records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Those about this store key.
    pub(crate) key: Option<String>,
    /// Those of the token of this name.
    pub(crate) actor: Option<String>,
}

/// One document.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Unreadable`], [`Refusal::Forbidden`], the store's.
pub(crate) async fn document(
    plane: &Plane,
    actor: &Actor,
    key: &DocumentKey,
) -> Result<Shown, Refusal> {
    plane.require(actor, Right::Read)?;
    let (entry, _) = plane.store.get(&Key::from(key)).await?;
    let entry = entry.ok_or_else(|| Refusal::NotFound(key.to_string()))?;
    let json = readable(key.kind, &entry)?;
    Ok(Shown {
        name: key.name.clone(),
        revision: entry.mod_revision,
        json: seen_by(actor, json),
    })
}

/// The live traffic of a route, as a flat object.
///
/// # Errors
/// As [`document`].
pub(crate) async fn traffic(plane: &Plane, actor: &Actor, route: &str) -> Result<Shown, Refusal> {
    let key = DocumentKey {
        kind: Kind::Route,
        name: route.to_owned(),
    };
    let mut shown = document(plane, actor, &key).await?;
    shown.json = shown
        .json
        .get("traffic")
        .filter(|traffic| !traffic.is_null())
        .cloned()
        .unwrap_or_else(|| Json::Object(Default::default()));
    Ok(shown)
}

/// Documents of one kind, names rising.
///
/// # Errors
/// [`Refusal::Forbidden`], the store's.
pub(crate) async fn documents(
    plane: &Plane,
    actor: &Actor,
    kind: Kind,
    part: &Part,
) -> Result<Listed, Refusal> {
    plane.require(actor, Right::Read)?;
    let folder = format!("{}{}/", Scope::Documents.prefix(), kind.plural());
    let read = |entry: &Entry| readable(kind, entry).map(|json| seen_by(actor, json));
    list(plane, Scope::Documents, &folder, part, read).await
}

/// One token.
///
/// # Errors
/// As [`document`].
pub(crate) async fn token(plane: &Plane, actor: &Actor, name: &str) -> Result<Shown, Refusal> {
    plane.require(actor, Right::ReadTokens)?;
    let key = StoreKey::Token(name.to_owned());
    let (entry, _) = plane.store.get(&Key::from(&key)).await?;
    let entry = entry.ok_or_else(|| Refusal::NotFound(key.to_string()))?;
    Ok(Shown {
        name: name.to_owned(),
        revision: entry.mod_revision,
        json: readable_token(&entry)?,
    })
}

/// Tokens of the store, names rising. Those of the settings are not among them.
///
/// # Errors
/// As [`documents`].
pub(crate) async fn tokens(plane: &Plane, actor: &Actor, part: &Part) -> Result<Listed, Refusal> {
    plane.require(actor, Right::ReadTokens)?;
    list(
        plane,
        Scope::Tokens,
        Scope::Tokens.prefix(),
        part,
        readable_token,
    )
    .await
}

/// What was changed, newest first.
///
/// # Errors
/// As [`documents`].
pub(crate) async fn audit(
    plane: &Plane,
    actor: &Actor,
    filter: &Filter,
    part: &Part,
) -> Result<Listed, Refusal> {
    plane.require(actor, Right::Read)?;
    let mut after = page_start(Scope::Audit.prefix(), part, None)?;
    let (mut listed, mut looked_at) = (Listed::default(), 0);
    loop {
        let page = Page {
            after: after.clone(),
            limit: Some(ENTRIES_MAX),
            newest_first: true,
        };
        let listing = plane.store.list(Scope::Audit, page).await?;
        listed.revision = listing.revision;
        let is_last = listing.entries.len() < ENTRIES_MAX;
        for entry in listing.entries {
            if listed.items.len() == part.limit || looked_at == LOOKED_AT_MAX {
                listed.next_page_token = after.as_ref().map(last_piece);
                return Ok(listed);
            }
            looked_at += 1;
            if let Some(json) = record(&entry, filter) {
                listed.items.push(Shown {
                    name: last_piece(&entry.key),
                    revision: entry.mod_revision,
                    json,
                });
            }
            after = Some(entry.key);
        }
        if is_last {
            return Ok(listed);
        }
    }
}

fn record(entry: &Entry, filter: &Filter) -> Option<Json> {
    let json: Json = serde_json::from_slice(&entry.value).ok()?;
    let is = |value: Option<&Json>, wanted: &str| value.and_then(Json::as_str) == Some(wanted);
    let about = |wanted: &String| {
        let changes = json.get("changes").and_then(Json::as_array);
        is(json.get("key"), wanted)
            || changes.is_some_and(|all| all.iter().any(|one| is(one.get("key"), wanted)))
    };
    let by = |wanted: &String| is(json.pointer("/actor/name"), wanted);
    let is_asked_for =
        filter.key.as_ref().is_none_or(about) && filter.actor.as_ref().is_none_or(by);
    is_asked_for.then_some(json)
}

async fn list(
    plane: &Plane,
    scope: Scope,
    folder: &str,
    part: &Part,
    read: impl Fn(&Entry) -> Result<Json, Refusal>,
) -> Result<Listed, Refusal> {
    let (entries, revision) = named_entries(plane, scope, folder, part).await?;
    let mut listed = Listed {
        revision,
        ..Listed::default()
    };
    for (count, entry) in entries.iter().enumerate() {
        if count == part.limit {
            listed.next_page_token = entries[..count].last().map(|last| last_piece(&last.key));
            break;
        }
        let name = last_piece(&entry.key);
        match read(entry) {
            Ok(json) => listed.items.push(Shown {
                name,
                revision: entry.mod_revision,
                json,
            }),
            Err(Refusal::Unreadable { revision, why }) => listed.unreadable.push(Unreadable {
                name,
                revision,
                why,
            }),
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(listed)
}

/// The entries of a page and, if there is one, that behind it. What lies in the folder under a name
/// that nothing can have is none of them: nobody could ask for it, or for the page behind it. The
/// revision is that of the first look, so that whoever watches from there misses nothing.
async fn named_entries(
    plane: &Plane,
    scope: Scope,
    folder: &str,
    part: &Part,
) -> Result<(Vec<Entry>, Revision), Refusal> {
    let mut after = page_start(folder, part, Some(folder))?;
    let wanted = part.limit.saturating_add(1);
    let (mut entries, mut first) = (Vec::new(), None);
    // Ends: each look begins behind the last.
    loop {
        let limit = wanted - entries.len();
        let page = Page {
            after,
            limit: Some(limit),
            newest_first: false,
        };
        let listing = plane.store.list(scope, page).await?;
        let revision = *first.get_or_insert(listing.revision);
        after = listing.entries.last().map(|entry| entry.key.clone());
        let is_behind = |key: &Key| !key.as_str().starts_with(folder);
        let is_last = listing.entries.len() < limit || after.as_ref().is_none_or(is_behind);
        let inside = listing.entries.into_iter();
        let inside = inside.take_while(|entry| !is_behind(&entry.key));
        entries.extend(inside.filter(|entry| is_named(&entry.key, folder)));
        if is_last || entries.len() >= wanted {
            return Ok((entries, revision));
        }
    }
}

fn is_named(key: &Key, folder: &str) -> bool {
    key.as_str().strip_prefix(folder).is_some_and(is_name)
}

/// Where a page begins: behind what was read last, at the end of an empty token's folder else.
fn page_start(folder: &str, part: &Part, first: Option<&str>) -> Result<Option<Key>, Refusal> {
    let text = match (&part.page_token, first) {
        (Some(token), _) if is_piece(token) => format!("{folder}{token}"),
        (Some(_), _) => return Err(bad_page_token()),
        (None, Some(first)) => first.to_owned(),
        (None, None) => return Ok(None),
    };
    Key::new(text).map(Some).map_err(|_| bad_page_token())
}

fn is_piece(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !token.is_empty() && token.bytes().all(plain)
}

fn bad_page_token() -> Refusal {
    let at = Pointer::root().key("pageToken");
    let message = "is none that a list gave";
    Refusal::Malformed(vec![Fault::new(&at, "bad_page_token", message)])
}

fn last_piece(key: &Key) -> String {
    let (_, piece) = key.as_str().rsplit_once('/').unwrap_or_default();
    piece.to_owned()
}

/// The stored value, if a router could read it.
fn readable(kind: Kind, entry: &Entry) -> Result<Json, Refusal> {
    let unreadable = |why: String| Refusal::Unreadable {
        revision: entry.mod_revision,
        why,
    };
    Document::read_tolerant(kind, &entry.value).map_err(|fault| unreadable(fault.to_string()))?;
    serde_json::from_slice(&entry.value).map_err(|error| unreadable(error.to_string()))
}

fn readable_token(entry: &Entry) -> Result<Json, Refusal> {
    let why = |why: String| Refusal::Unreadable {
        revision: entry.mod_revision,
        why,
    };
    let named = |mut json: Json| {
        let fields = json.as_object_mut();
        fields.map(|fields| fields.insert("name".to_owned(), last_piece(&entry.key).into()));
        json
    };
    let first = |faults: Vec<Fault>| faults.first().map(Fault::to_string).unwrap_or_default();
    Token::read_tolerant(&entry.value).map_err(|faults| why(first(faults)))?;
    serde_json::from_slice(&entry.value)
        .map(named)
        .map_err(|error| why(error.to_string()))
}

/// Whole digests are for who may write them.
pub(crate) fn seen_by(actor: &Actor, json: Json) -> Json {
    if actor.role.reaches(Right::ReadDigests.least_role()) {
        json
    } else {
        cut_digests(json)
    }
}

#[cfg(test)]
mod tests;
