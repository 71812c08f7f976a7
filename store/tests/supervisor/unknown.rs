//! A connection is cut at two hundred places while a transaction is under way: whatever the caller
//! was told is true, and sent again it has exactly one effect.

use std::time::Duration;

use serin_proto::unit::Revision;
use serin_store::{Compare, Error, Op, Outcome, Store, Txn};
use serin_tests::World;
use serin_tests::etcd::Etcd;

use crate::proxy::{Cut, Proxy};
use crate::stage::{key, quick, store_at};

/// Places in each direction, and the bytes between two of them: beyond the whole exchange.
const PLACES: usize = 100;
const STEP: usize = 12;

fn change(n: usize) -> Txn {
    let (document, receipt) = (
        key(&format!("config/routes/{n}")),
        key(&format!("audit/{n}")),
    );
    Txn {
        compares: vec![Compare::CreateRevision(receipt.clone(), Revision(0))],
        ops: vec![
            Op::Put(document, "{}".into(), None),
            Op::Put(receipt.clone(), "{}".into(), None),
        ],
        receipt: Some(receipt),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_told_as_it_was() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let proxy = Proxy::start(etcd.address()).await;
    let direct = store_at(vec![etcd.address().to_string()], quick());
    let mut told = [0; 3];
    for n in 0..2 * PLACES {
        let bytes = n / 2 * STEP;
        proxy.cut(if n % 2 == 0 {
            Cut {
                asked: bytes,
                ..Cut::NEVER
            }
        } else {
            Cut {
                answered: bytes,
                ..Cut::NEVER
            }
        });
        let mut timing = quick();
        timing.call = Duration::from_millis(500);
        let store = store_at(vec![proxy.endpoint()], timing);
        let outcome = store.txn(change(n)).await;
        let receipt = key(&format!("audit/{n}"));
        let (there, _) = direct.get(&receipt).await.expect("etcd runs");
        match outcome {
            Ok(Outcome::Committed(revision)) => {
                told[0] += 1;
                let there = there.expect("it was acknowledged");
                assert_eq!(there.mod_revision, revision, "place {n}");
            }
            Err(Error::Unavailable(text)) => {
                told[1] += 1;
                assert_eq!(
                    there, None,
                    "place {n} was said to have done nothing: {text}"
                );
            }
            Err(Error::Unknown { receipt: named, .. }) => {
                told[2] += 1;
                assert_eq!(named, Some(receipt.clone()), "place {n}");
            }
            other => panic!("place {n}: {other:?}"),
        }
        once(&direct, n).await;
    }
    let [committed, unavailable, unknown] = told;
    eprintln!("{committed} committed, {unavailable} not sent, {unknown} unknown");
    assert!(
        committed > 10 && unknown > 10,
        "the places miss the exchange: {told:?}"
    );
}

/// Sends the same transaction again and looks that it was done exactly once.
async fn once(direct: &serin_store::EtcdStore, n: usize) {
    match direct.txn(change(n)).await.expect("etcd runs") {
        Outcome::Committed(_) => {}
        Outcome::Conflict { now, .. } => {
            let receipt = now
                .iter()
                .find(|entry| entry.key == key(&format!("audit/{n}")));
            assert!(receipt.is_some(), "place {n}: a conflict without a receipt");
        }
    }
    let document = key(&format!("config/routes/{n}"));
    let (entry, _) = direct.get(&document).await.expect("etcd runs");
    assert_eq!(entry.map(|entry| entry.version), Some(1), "place {n}");
}
