//! Who watches gets every change once, in order, whole, on any replica; or is told to list again.

use std::time::Duration;

use serde_json::json;
use serin_proto::{key::Kind, unit::Revision};

use super::*;
use crate::stage::{News, Stage, provider};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

async fn collect(cursor: &mut Cursor, stage: &Stage, upto: Revision) -> Vec<(u64, Vec<String>)> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(revision, _)| *revision < upto.0) {
        let batch = cursor.next(&stage.plane.view, LONG).await.unwrap().unwrap();
        let keys = batch.changes.iter().map(|change| change.key().to_string());
        seen.push((batch.revision.0, keys.collect()));
    }
    seen
}

#[tokio::test]
async fn a_reader_resumes_on_any_replica_and_misses_nothing() {
    let one = Stage::new().await;
    let two = Stage::beside(&one.memory).await;
    let begin = one.plane.view.revision();
    let mut all = one.plane.view.cursor(Some(begin)).await.unwrap();
    let mut wanted = Vec::new();
    for i in 0..20 {
        let stage = if i % 3 == 0 { &two } else { &one };
        let name = format!("p{}", i % 4);
        let put = stage.put(Kind::Provider, &name, &provider()).await;
        wanted.push((put.revision.0, vec![format!("config/providers/{name}")]));
    }
    let gone = one.try_delete(Kind::Provider, "p0").await.unwrap();
    wanted.push((gone.revision.0, vec!["config/providers/p0".to_owned()]));
    assert_eq!(collect(&mut all, &one, gone.revision).await, wanted);

    // The other replica is behind until it is asked for a place ahead of it.
    two.staged.news(News::WhenAsked);
    let last = one.put(Kind::Provider, "p1", &provider()).await.revision;
    wanted.push((last.0, vec!["config/providers/p1".to_owned()]));
    for read in [wanted.len() - 1, 7, 0] {
        let after = Revision(wanted[read].0);
        let mut cursor = two.plane.view.cursor(Some(after)).await.unwrap();
        if read + 1 < wanted.len() {
            assert_eq!(collect(&mut cursor, &two, last).await, wanted[read + 1..]);
        }
    }
}

#[tokio::test]
async fn a_reader_without_a_place_gets_what_comes_from_now_on() {
    let stage = Stage::new().await;
    stage.put(Kind::Provider, "old", &provider()).await;
    stage
        .plane
        .view
        .caught_up(stage.memory.revision())
        .await
        .unwrap();
    let mut cursor = stage.plane.view.cursor(None).await.unwrap();
    let nothing = cursor
        .next(&stage.plane.view, Duration::from_millis(1))
        .await
        .unwrap();
    assert_eq!(nothing, None);
    let new = stage.put(Kind::Provider, "new", &provider()).await.revision;
    let seen = collect(&mut cursor, &stage, new).await;
    assert_eq!(seen, [(new.0, vec!["config/providers/new".to_owned()])]);
}

#[tokio::test]
async fn a_place_that_history_does_not_reach_is_told_so() {
    let stage = Stage::new().await;
    let first = stage.put(Kind::Provider, "p", &provider()).await.revision;
    stage.plane.view.caught_up(first).await.unwrap();
    let late = Stage::beside(&stage.memory).await;
    let before_its_listing = late.plane.view.cursor(Some(Revision(first.0 - 1))).await;
    assert_eq!(before_its_listing.unwrap_err().code(), "compacted");
    let beyond = stage
        .plane
        .view
        .cursor(Some(Revision(first.0 + 1_000)))
        .await;
    assert_eq!(beyond.unwrap_err().code(), "compacted");
}

#[tokio::test]
async fn a_new_listing_ends_every_reader() {
    let stage = Stage::new().await;
    let mut cursor = stage.plane.view.cursor(None).await.unwrap();
    let fleet = &stage.plane.fleet;
    let listing = |revision| Listing {
        entries: Vec::new(),
        revision: Revision(revision),
        identity: serin_store::StoreIdentity::default(),
    };
    // An older store in the place of ours: what comes of it is not what came after our place.
    stage
        .plane
        .view
        .take(iter::once(Event::Reset(listing(1))), fleet);
    let next = cursor.next(&stage.plane.view, LONG).await;
    assert_eq!(next.unwrap_err().code(), "compacted");
}

#[tokio::test]
async fn a_listing_replaces_what_was_known_and_counts_tell_what_is_there() {
    let stage = Stage::new().await.with_chat().await;
    stage.put(Kind::Tier, "gold", &json!({})).await;
    stage.write_raw("config/adopted", Some(b"{}")).await;
    let revision = stage.memory.revision();
    stage.plane.view.caught_up(revision).await.unwrap();
    let (p, r, k, t) = (Kind::Provider, Kind::Route, Kind::Key, Kind::Tier);
    assert_eq!(stage.plane.view.counts(), [(p, 1), (r, 1), (k, 0), (t, 1)]);
    let known = |key: &str| {
        stage
            .plane
            .view
            .look(|all, _| all.stored(key).is_some())
            .unwrap()
    };
    assert!(!known("config/adopted"), "the mark is no document");

    let kept = stage.stored("config/providers/p").await.unwrap();
    let listing = Listing {
        entries: vec![kept],
        revision,
        identity: serin_store::StoreIdentity::default(),
    };
    stage
        .plane
        .view
        .take(iter::once(Event::Reset(listing)), &stage.plane.fleet);
    assert_eq!(stage.plane.view.counts(), [(p, 1), (r, 0), (k, 0), (t, 0)]);
}
