//! Listings: pages of one revision.
//!
//! The first page says which revision it is, all others are asked for at that one. Compacted
//! meanwhile: the caller starts over. An answer that is too long to be read halves the page.

use std::time::Duration;

use etcd_client::{GetOptions, GetResponse, SortOrder, SortTarget};
use serin_proto::unit::Revision;

use super::{
    call::within,
    connection::Connection,
    keys::{bounds, entry, full, number, revision},
    trouble::{Kind, Trouble},
};
use crate::{Key, Listing, Page, Scope, StoreIdentity, watch::cursor::Seen};

/// Entries of one request.
const PAGE_ENTRIES: usize = 500;

/// How often a listing is begun again because its revision was compacted meanwhile.
const STARTS_MAX: u32 = 5;

impl Connection {
    /// Which store this is and where it stands; of `key`, when it was changed.
    pub(crate) async fn look(
        &self,
        scope: Scope,
        key: Option<&Key>,
        deadline: Duration,
    ) -> Result<Seen, Trouble> {
        // Without a key, the name of the folder: no key, but one that we may read.
        let key = key.map_or_else(|| bounds(&scope.range()).0, full);
        let options = GetOptions::new().with_keys_only();
        let mut kv = self.kv.clone();
        let answer = within(deadline, kv.get(key, Some(options))).await?;
        Ok(Seen {
            identity: identity(&answer),
            revision: at(&answer),
            changed: answer.kvs().first().map(|kv| revision(kv.mod_revision())),
        })
    }

    /// Whether the member has a leader: it refuses any read without one, though this one needs none.
    pub(crate) async fn has_leader(&self, scope: Scope, deadline: Duration) -> Result<(), Trouble> {
        let options = GetOptions::new().with_keys_only().with_serializable();
        let mut kv = self.kv.clone();
        let folder = bounds(&scope.range()).0;
        within(deadline, kv.get(folder, Some(options))).await?;
        Ok(())
    }

    /// The entries of a page, at one revision. `deadline` is that of each request.
    pub(crate) async fn list(
        &self,
        scope: Scope,
        page: &Page,
        deadline: Duration,
    ) -> Result<Listing, Trouble> {
        let mut starts = 1;
        loop {
            match self.list_once(scope, page, deadline).await {
                Err(trouble) if trouble.kind == Kind::Compacted && starts < STARTS_MAX => {
                    starts += 1;
                }
                other => return other,
            }
        }
    }

    async fn list_once(
        &self,
        scope: Scope,
        page: &Page,
        deadline: Duration,
    ) -> Result<Listing, Trouble> {
        let range = scope.range();
        let wanted = page.limit.unwrap_or(usize::MAX);
        let (mut first, mut end) = bounds(&range);
        if let Some(after) = &page.after {
            advance(&mut first, &mut end, full(after), page.newest_first);
        }
        let mut kv = self.kv.clone();
        let mut size = PAGE_ENTRIES;
        let mut listing: Option<Listing> = None;
        loop {
            let have = listing.as_ref().map_or(0, |listing| listing.entries.len());
            // A page of nothing still asks for one entry: its answer tells the revision.
            let count = size.min(wanted - have).max(1);
            let fixed = listing
                .as_ref()
                .map_or(0, |listing| number(listing.revision));
            let options = options(&end, count, fixed, page.newest_first);
            let mut answer = match within(deadline, kv.get(first.clone(), Some(options))).await {
                Err(trouble) if trouble.kind == Kind::TooLong && size > 1 => {
                    size /= 2;
                    continue;
                }
                answer => answer?,
            };
            let listing = listing.get_or_insert_with(|| Listing {
                entries: Vec::new(),
                revision: at(&answer),
                identity: identity(&answer),
            });
            let more = answer.more();
            let kvs = answer.take_kvs();
            let last = kvs.last().map(|kv| kv.key().to_vec());
            let entries = kvs.into_iter().filter_map(|kv| entry(kv.0, &range));
            listing.entries.extend(entries);
            listing.entries.truncate(wanted);
            let full = listing.entries.len() >= wanted;
            match last {
                Some(last) if more && !full => {
                    advance(&mut first, &mut end, last, page.newest_first);
                }
                _ => break,
            }
        }
        listing.ok_or_else(|| Trouble::new(Kind::Lost, "a listing without an answer"))
    }
}

/// Leaves out everything up to this key, in the order of the page.
fn advance(first: &mut Vec<u8>, end: &mut Vec<u8>, after: Vec<u8>, newest_first: bool) {
    if newest_first {
        *end = after.min(end.clone());
    } else {
        let mut next = after;
        next.push(0);
        *first = next.max(first.clone());
    }
}

fn options(end: &[u8], count: usize, revision: i64, newest_first: bool) -> GetOptions {
    let options = GetOptions::new()
        .with_range(end)
        .with_limit(i64::try_from(count).unwrap_or(i64::MAX))
        .with_revision(revision);
    if newest_first {
        options.with_sort(SortTarget::Key, SortOrder::Descend)
    } else {
        options
    }
}

pub(super) fn at(answer: &GetResponse) -> Revision {
    let header = answer.header();
    header.map_or_else(Revision::default, |header| revision(header.revision()))
}

fn identity(answer: &GetResponse) -> StoreIdentity {
    let id = answer.header().map_or(0, |header| header.cluster_id());
    StoreIdentity(format!("{id:016x}"))
}
