//! What the tales of killed leaders have in common: places to die at, letters that were heard, and
//! what holds of every history at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use serin_tests::rollouts::record::{counts, events, span, transitions, window};
use serin_tests::rollouts::verifies;
use serin_tests::scripted_http::Asked;

use crate::stage::Stage;
use crate::succession::Succession;

/// From one place to the next.
pub(crate) const NEXT: Duration = Duration::from_secs(45);
/// A step that does not end by itself.
pub(crate) const LONG: &str = "3600s";

pub(crate) fn places(when: &str, parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| format!("{part}.{when}")).collect()
}

/// Keys and bodies that a receiver was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

impl Heard {
    pub(crate) fn hear(&self, asked: &Asked) -> usize {
        let key = asked
            .header("idempotency-key")
            .unwrap_or_default()
            .to_owned();
        let body = serde_json::from_slice(&asked.body).unwrap_or_default();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((key, body));
        heard.len()
    }

    pub(crate) fn all(&self) -> Vec<(String, Value)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn by_key(&self) -> BTreeMap<String, Vec<Value>> {
        let mut by_key: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (key, body) in self.all() {
            by_key.entry(key).or_default().push(body);
        }
        by_key
    }
}

/// What holds of every history, whoever died over it.
pub(crate) async fn is_as_without_a_fault(line: &Succession<'_>, route: &str, expected: &[&str]) {
    let stage = line.stage;
    let records = stage.store.sound_history(route).await;
    assert_eq!(transitions(&records), expected, "{route}");
    counts_are_exact(stage, route, &records);
    verifies(line.front.api, route).await;
}

/// Every scraped increment of a window was counted, once.
fn counts_are_exact(stage: &Stage, route: &str, records: &[Value]) {
    let mut sum = 0;
    for window in events(records).filter_map(window) {
        for (is_canary, arm) in [(true, "c"), (false, "s")] {
            let truth = stage.prometheus.truth(route, is_canary, span(window));
            let counted = counts(window, arm);
            assert_eq!(counted, truth.errors(), "{route} {arm} {window}");
            sum += counted.0;
        }
    }
    assert!(sum > 0, "{route}: nothing was counted");
}

/// Nobody led for no longer than a lease lives.
pub(crate) fn was_quick(line: &Succession<'_>) {
    assert!(!line.gaps.is_empty(), "no lease ended by itself");
    eprintln!("no leader for {:?} after a death", line.gaps);
}
