//! Faults in an order drawn from a seed, under writes: in the end the watch has told every change
//! once, in order, and what it told is what is there.
//!
//! `SERIN_SEED` and `SERIN_RUNS` choose the runs; the seed is printed and gives the same faults.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use serin_store::{EtcdStore, Op, Outcome, Page, Scope, Store, Txn};
use serin_tests::etcd::Etcd;
use serin_tests::gateway::Gateway;
use serin_tests::{World, eventually};

use crate::outages::Told;
use crate::proxy::{Cut, Proxy};
use crate::stage::{SOON, key, quick, store_at, streams};

const RUNS: u64 = 2;
const STEPS: u64 = 15;
const KEYS: u64 = 12;

/// A small generator: the same seed gives the same faults everywhere.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

struct Run {
    draws: Draws,
    etcd: Etcd,
    wire: Proxy,
    /// Writes past the wire that is cut.
    direct: Arc<EtcdStore>,
    last: u64,
}

impl Run {
    /// Up to twenty transactions of up to four keys, each acknowledged.
    async fn write(&mut self) {
        for _ in 0..=self.draws.below(20) {
            let mut ops = BTreeMap::new();
            for _ in 0..=self.draws.below(4) {
                let name = key(&format!("config/routes/{}", self.draws.below(KEYS)));
                let op = match self.draws.below(3) {
                    0 => Op::Delete(name.clone()),
                    _ => Op::Put(name.clone(), "{}".into(), None),
                };
                ops.insert(name, op);
            }
            let ops: Vec<Op> = ops.into_values().collect();
            let txn = Txn {
                ops,
                ..Txn::default()
            };
            let look = async || self.direct.txn(txn.clone()).await;
            let written = |seen: &serin_store::Result<Outcome>| seen.is_ok();
            match eventually("a write is acknowledged", SOON, look, written).await {
                Ok(Outcome::Committed(revision)) => self.last = revision.0,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn fault(&mut self) {
        match self.draws.below(5) {
            0 => {
                self.wire.cut(Cut::AT_ONCE);
                self.write().await;
            }
            1 => {
                let answered = usize::try_from(self.draws.below(20_000)).expect("it is small");
                self.wire.cut(Cut {
                    answered,
                    ..Cut::NEVER
                });
                self.write().await;
            }
            2 => {
                self.etcd.kill().await;
                self.etcd.again().await;
            }
            3 => {
                self.wire.cut(Cut::AT_ONCE);
                self.write().await;
                self.compact().await;
            }
            _ => {
                self.etcd.pause().await;
                let look = async || self.direct.get(&key("config/routes/0")).await.is_err();
                eventually("it is frozen", SOON, look, |failed| *failed).await;
                self.etcd.resume().await;
            }
        }
        self.wire.cut(Cut::NEVER);
    }

    async fn compact(&self) {
        let gateway = Gateway::open(self.etcd.address()).await;
        let compacted = gateway.expect("etcd listens").compact(self.last).await;
        // Nothing was written since the last time: it is compacted already.
        let _ = compacted;
    }
}

async fn run(seed: u64) {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let wire = Proxy::start(etcd.address()).await;
    let direct = store_at(vec![etcd.address().to_string()], quick());
    let store = store_at(vec![wire.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    let mut told = Told::default();
    let mut run = Run {
        // Seeds that follow each other must not begin alike; zero would give only zeros.
        draws: Draws(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
        etcd,
        wire,
        direct,
        last: 1,
    };
    for step in 0..STEPS {
        run.write().await;
        run.fault().await;
        if step % 3 == 0 {
            told.until(&mut watch, run.last).await;
        }
    }
    run.write().await;
    told.until(&mut watch, run.last).await;
    let there = run.direct.list(Scope::Documents, Page::whole()).await;
    let there = there.expect("it runs").entries.into_iter();
    let there: BTreeMap<String, u64> = there
        .map(|entry| (entry.key.to_string(), entry.mod_revision.0))
        .collect();
    assert_eq!(told.there, there, "seed {seed}");
    streams(&store, 1).await;
}

fn setting(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_watch_tells_everything_once() {
    let drawn = || RandomState::new().build_hasher().finish() >> 32;
    let first = setting("SERIN_SEED").unwrap_or_else(drawn);
    for seed in (first..).take(usize::try_from(setting("SERIN_RUNS").unwrap_or(RUNS)).expect("few"))
    {
        eprintln!("seed {seed}");
        run(seed).await;
    }
}
