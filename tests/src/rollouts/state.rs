//! A rollout's state, by API or from the store; shown in short.

use std::fmt;

use serde_json::Value;

use super::number;

/// The fields that say where it stands.
const SHOWN: [&str; 22] = [
    "rolloutId",
    "seq",
    "phase",
    "sub",
    "pausedIn",
    "pauseReasons",
    "step",
    "share",
    "verdict",
    "guard",
    "endedBecause",
    "clocks",
    "counters",
    "cursorMs",
    "exposureStartMs",
    "warmupMs",
    "hooks",
    "gates",
    // Of a refusal in its place.
    "status",
    "code",
    "detail",
    "errors",
];

#[derive(Clone, Default)]
pub struct State(pub Value);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = SHOWN
            .iter()
            .filter_map(|name| Some((*name, self.0.get(*name)?)));
        f.debug_map()
            .entries(shown.map(|(k, v)| (k, v.to_string())))
            .finish()
    }
}

impl State {
    pub fn id(&self) -> &str {
        self.text("/rolloutId")
    }

    pub fn seq(&self) -> u64 {
        self.number("/seq")
    }

    pub fn phase(&self) -> &str {
        self.text("/phase")
    }

    pub fn is(&self, phase: &str) -> bool {
        self.phase() == phase
    }

    pub fn has_ended(&self) -> bool {
        ["Succeeded", "Failed", "Aborted", "Superseded"].contains(&self.phase())
    }

    pub fn sub(&self) -> &str {
        self.text("/sub")
    }

    /// From 0.
    pub fn step(&self) -> Option<u64> {
        self.0["step"].as_u64()
    }

    /// In a step, its counts judged.
    pub fn analyses(&self, step: u64) -> bool {
        self.is("Progressing") && self.sub() == "Analysing" && self.step() == Some(step)
    }

    pub fn is_paused_for(&self, reason: &str) -> bool {
        let reasons = self.0["pauseReasons"].as_array();
        let mut reasons = reasons.into_iter().flatten();
        self.is("Paused") && reasons.any(|known| known == reason)
    }

    pub fn verdict(&self) -> &str {
        self.text("/verdict/kind")
    }

    pub fn why(&self) -> &str {
        self.text("/verdict/why")
    }

    pub fn ended_because(&self) -> &str {
        self.text("/endedBecause")
    }

    /// In percent; −1: it tells none.
    pub fn share(&self) -> f64 {
        self.0["share"].as_f64().unwrap_or(-1.0)
    }

    pub fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).map(number).unwrap_or_default()
    }

    fn text(&self, pointer: &str) -> &str {
        let value = self.0.pointer(pointer);
        value.and_then(Value::as_str).unwrap_or_default()
    }
}
