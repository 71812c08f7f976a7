//! Chance from a seed, and plans drawn by it.

use serde_json::json;
use serin_proto::v1;

use super::{drive::plan, source::Mood};

/// A small generator (SplitMix64): the same seed gives the same run everywhere.
pub(super) struct Draws(pub(super) u64);

impl Draws {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}

/// Healthy more often than not, so that some rollouts come to their end.
pub(super) const MOODS: [Mood; 17] = [
    Mood::Healthy,
    Mood::Healthy,
    Mood::Healthy,
    Mood::Healthy,
    Mood::Healthy,
    Mood::Healthy,
    Mood::Healthy,
    Mood::Healthy,
    Mood::Harmful,
    Mood::Unclear,
    Mood::Quiet,
    Mood::Down,
    Mood::Partial,
    Mood::Broken,
    Mood::Costly,
    Mood::Off("score"),
    Mood::Mute,
];

/// A plan of any shape that has only members the model knows.
pub(super) fn plans(draws: &mut Draws) -> v1::Rollout {
    let hooks = [
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-traffic-increase",
        "confirm-promotion",
        "rollback",
        "post-rollout",
        "event",
    ];
    let mut webhooks = Vec::new();
    for kind in hooks {
        if draws.one_in(4) {
            webhooks.push(json!({"name": kind, "type": kind, "url": "http://a.example"}));
        }
    }
    let gate = if draws.one_in(3) { "go" } else { "" };
    let step =
        |weight: u32, gate: &str| json!({"weight": weight, "gate": gate, "minDuration": "20s"});
    let with = json!({
        "candidate": draws.of(&["claude", "claude", "claude", "gemini"]),
        "steps": [step(1, ""), step(10, gate), step(draws.of(&[25, 50, 100]), "")],
        "promotion": {"gate": draws.of(&["", "", "confirm-promotion"]), "holdback": draws.of(&[0, 1, 10]),
                      "stepWeight": draws.of(&[None, Some(20)]), "bake": "30s"},
        "analysis": {"onNoData": draws.of(&["hold", "pause", "fail"]), "onProviderError": draws.of(&["hold", "hold", "pause"]),
                     "blindMax": "120s", "inconclusiveDeadline": "90s", "webhooks": webhooks, "threshold": 3,
                     "metrics": [{"name": "errors"}, {"name": "score", "query": "up", "thresholdRange": {"min": 1}},
                                 {"name": "cost", "mode": "pauseOnly"}],
                     "alerts": [{"name": "chat", "url": "http://a.example", "severity": "warn"}]},
        "onFail": draws.of(&["rollback", "stepBack", "freeze"]),
        "planPolicy": draws.of(&["nextStep", "restart"]),
        "progressDeadline": "60s",
    });
    plan(&with)
}

/// A number of the environment.
pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

/// Says which run it was, if it did not come to its end.
pub(super) struct Told(pub(super) u64, pub(super) bool);

impl Drop for Told {
    fn drop(&mut self) {
        if self.1 {
            eprintln!("SERIN_MODEL_SEED={} SERIN_MODEL_RUNS=1", self.0);
        }
    }
}
