//! What is unknown is found out, or said to be unknown; never guessed.

use std::{sync::Mutex, time::Duration};

use serin_store::{
    Answer, Entry, Key, Lease, Listing, Op, Page, Resume, Scope, Watch, watch::channel,
};

use super::*;

/// A store that gives the answers of a script to transactions, the last one for ever.
#[derive(Debug)]
struct Script {
    answers: Mutex<Vec<serin_store::Result<Outcome>>>,
    sent: Mutex<Vec<Txn>>,
}

impl Script {
    fn of(answers: Vec<serin_store::Result<Outcome>>) -> Self {
        Self {
            answers: Mutex::new(answers.into_iter().rev().collect()),
            sent: Mutex::default(),
        }
    }
}

impl Store for Script {
    fn get<'a>(&'a self, _: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        Box::pin(async { Err(Error::Unavailable("not scripted".to_owned())) })
    }

    fn list(&self, _: Scope, _: Page) -> Answer<'_, Listing> {
        Box::pin(async { Err(Error::Unavailable("not scripted".to_owned())) })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        self.sent.lock().unwrap().push(txn);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop().unwrap()
        } else {
            answers[0].clone()
        };
        Box::pin(async { answer })
    }

    fn watch(&self, _: Scope, _: Option<Resume>) -> Watch {
        channel().1
    }

    fn lease(&self, _: Duration) -> Answer<'_, Lease> {
        Box::pin(async { Err(Error::Unavailable("not scripted".to_owned())) })
    }

    fn backend(&self) -> &'static str {
        "script"
    }
}

fn unknown() -> serin_store::Result<Outcome> {
    Err(Error::Unknown {
        receipt: None,
        why: "cut".to_owned(),
    })
}

fn entry(key: Key, revision: u64) -> Entry {
    Entry {
        key,
        value: bytes::Bytes::new(),
        create_revision: Revision(revision),
        mod_revision: Revision(revision),
        version: 1,
    }
}

fn conflict(now: Vec<Entry>) -> serin_store::Result<Outcome> {
    Ok(Outcome::Conflict {
        now,
        revision: Revision(90),
    })
}

async fn settled(answers: Vec<serin_store::Result<Outcome>>) -> (String, usize) {
    let store = Script::of(answers);
    let key = Key::new("config/routes/a").unwrap();
    let txn = Txn {
        ops: vec![Op::Delete(key)],
        receipt: Some(receipt("id")),
        ..Txn::default()
    };
    let settled = settle(&store, "id", txn.clone()).await;
    let sent = store.sent.into_inner().unwrap();
    assert!(
        sent.iter().all(|again| *again == txn),
        "always the same transaction"
    );
    let told = match settled {
        Ok(settled) => format!("{settled:?}"),
        Err(refusal) => refusal.code().to_owned(),
    };
    (told, sent.len())
}

#[tokio::test(start_paused = true)]
async fn what_became_of_it_is_found_out() {
    let gone = || Err(Error::Unavailable("gone".to_owned()));
    let ours = || vec![entry(receipt("id"), 7)];
    let other = || vec![entry(Key::new("config/routes/a").unwrap(), 8)];
    let done = || Ok(Outcome::Committed(Revision(7)));
    let committed = "Committed(Revision(7))";
    let lost = "Conflict(Revision(90))";
    let full = || Err(Error::Full("quota".to_owned()));
    let table = [
        (vec![done()], committed, 1),
        (vec![conflict(other())], lost, 1),
        // It had committed: the second finds its receipt.
        (vec![unknown(), conflict(ours())], committed, 2),
        // It had not, and another was faster.
        (vec![unknown(), conflict(other())], lost, 2),
        // It had not: the second does it.
        (vec![unknown(), unknown(), done()], committed, 3),
        // What is certain of the second says nothing of the first.
        (vec![unknown(), gone(), full(), done()], committed, 4),
        (vec![gone(), done()], "store_unavailable", 1),
        (vec![full(), done()], "store_full", 1),
    ];
    for (script, expected, sent) in table {
        let shown = format!("{script:?}");
        assert_eq!(
            settled(script).await,
            (expected.to_owned(), sent),
            "{shown}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_found_out_in_ten_seconds_is_said_to_be_unknown() {
    let began = tokio::time::Instant::now();
    let (told, sent) = settled(vec![unknown()]).await;
    assert_eq!(told, "outcome_unknown");
    assert_eq!(began.elapsed(), SEARCH_MAX);
    assert!((10..=20).contains(&sent), "{sent} times");
}
