//! Many who want the same thing.

use std::sync::Arc;

use serin_proto::unit::Revision;
use serin_store::{Compare, Outcome, Scope, Store};

use crate::{
    recorder::{Recorder, key, revision},
    subject::Subject,
    writer::{commit_if, put},
};

const WRITERS: u64 = 200;

pub(crate) async fn two_hundred_writers_of_one_key_lose_no_update(subject: impl Subject) {
    let store = subject.store();
    let before = revision(&store).await;
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    let writers = (0..WRITERS).map(|_| tokio::spawn(add_one(Arc::clone(&store))));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let (entry, now) = store.get(&key("config/sum")).await.expect("an answer");
    let entry = entry.expect("it was put");
    assert_eq!(entry.value, WRITERS.to_string().as_bytes());
    assert_eq!((entry.version, now.0), (WRITERS, before + WRITERS));
    recorder.until(now.0).await;
    let told = recorder.marks().into_iter().map(|mark| mark.revision);
    assert!(told.eq(before + 1..=now.0), "each update is one event");
}

/// Adds one to the number in a key, however often others come first.
async fn add_one(store: Arc<dyn Store>) {
    let name = "config/sum";
    let (mut sum, mut seen) = (0_u64, Revision(0));
    // Each conflict means that another writer got through.
    for _ in 0..=WRITERS {
        let compares = vec![Compare::ModRevision(key(name), seen)];
        let ops = vec![put(name, &(sum + 1).to_string())];
        match commit_if(&store, compares, ops).await.expect("an answer") {
            Outcome::Committed(_) => return,
            Outcome::Conflict { now, .. } => {
                let entry = now.first().expect("nobody deletes it");
                let text = String::from_utf8_lossy(&entry.value);
                sum = text.parse().expect("a number");
                seen = entry.mod_revision;
            }
        }
    }
    panic!("more conflicts than writers");
}
