//! What else may lie behind the counts: an incident of both arms, requests that do not arrive, a
//! share that is not what it should be, answers that have not ended yet. None of it blames the
//! candidate. Pure.

use serde::{Deserialize, Serialize};
use serin_proto::unit::Share;

use super::{
    evidence::rates,
    sample::{Arms, Counts, Window},
    sequential::{Smoothed, log_sum},
    tempering::Dispersion,
};

/// Windows over which the stable arm's own trouble is looked for.
const RECENT: usize = 3;
/// Fewer errors in them are no incident.
const INCIDENT_ERRORS_MIN: u64 = 5;
const INCIDENT_TIMES: f64 = 3.0;
const INCIDENT_POINTS: f64 = 0.05;
/// Canary requests that must have been due before their absence means something.
const DUE_MIN: f64 = 50.0;
/// Canary attempts due in the windows that tell whether answers have caught up with the share.
const SETTLED_DUE: f64 = 20.0;
const SETTLED_PART: f64 = 0.8;
/// The alarm on the sample ratio is false with that chance, per exposure.
const SAMPLE_RATIO_ALPHA: f64 = 0.001;
/// Its alternatives, as multiples of the share.
const SAMPLE_RATIOS: [f64; 4] = [0.5, 0.75, 4.0 / 3.0, 2.0];
const LOG_LIMIT: f64 = 1e6;

/// The stable arm against its own last hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommonCause {
    /// The newest windows, at most `RECENT`, with their lengths in milliseconds.
    pub recent: Vec<(Counts, u64)>,
    /// What came before them.
    pub hour: Smoothed,
}

impl CommonCause {
    pub(super) fn seed(&mut self, hour: Counts) {
        self.hour = Smoothed::of_hour(hour);
    }

    pub(super) fn observe(&mut self, stable: Counts, ms: u64) {
        self.recent.push((stable, ms));
        while self.recent.len() > RECENT {
            let (counts, ms) = self.recent.remove(0);
            self.hour.observe(counts, ms);
        }
    }

    /// The stable arm fails by itself: its rate now, and in the hour before.
    #[must_use]
    pub fn incident(&self) -> Option<(f64, f64)> {
        let mut counts = Counts::default();
        for (window, _) in &self.recent {
            counts += *window;
        }
        let before = self.hour.rate()?;
        let now = rates(Arms {
            canary: Counts::default(),
            stable: counts,
        });
        let now = now.stable?;
        let limit = (INCIDENT_TIMES * before).max(before + INCIDENT_POINTS);
        (counts.e >= INCIDENT_ERRORS_MIN && now > limit).then_some((now, before))
    }
}

/// Whether canary requests arrive, and whether their answers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arrivals {
    /// Canary attempts due since the last one ended.
    pub missing: f64,
    /// Due and ended in the block of windows that is being filled.
    pub due: f64,
    pub came: f64,
    /// In the last full block the canary had at least 80 % of its share.
    pub settled: bool,
}

impl Arrivals {
    pub(super) fn observe(&mut self, ended: Arms<u64>, share: Share) {
        let (canary, stable) = (ended.canary as f64, ended.stable as f64);
        let due = (canary + stable) * share.as_ratio();
        self.missing = if ended.canary > 0 {
            0.0
        } else {
            self.missing + due
        };
        self.due += due;
        self.came += canary;
        if self.due >= SETTLED_DUE {
            self.settled = self.came >= SETTLED_PART * self.due;
            (self.due, self.came) = (0.0, 0.0);
        }
    }

    /// How many were due where none came, if that is too many.
    #[must_use]
    pub fn absent(&self) -> Option<f64> {
        (self.missing >= DUE_MIN).then_some(self.missing)
    }
}

/// Does the canary get its share? An alarm alone: a few heavy keys shift it lawfully.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SampleRatio {
    pub log_e: [f64; SAMPLE_RATIOS.len()],
    pub dispersion: Dispersion,
    /// It was raised once in this exposure.
    pub alarm: bool,
}

impl SampleRatio {
    pub(super) fn open(&mut self) {
        self.log_e = [0.0; SAMPLE_RATIOS.len()];
        self.alarm = false;
        self.dispersion.last.clear();
    }

    pub(super) fn observe(&mut self, ended: Arms<u64>, share: Share) {
        let s = share.as_ratio();
        let n = ended.canary.saturating_add(ended.stable);
        if n == 0 || s <= 0.0 || s >= 1.0 {
            return;
        }
        let eta = self.dispersion.eta();
        let (canary, stable) = (ended.canary as f64, ended.stable as f64);
        for (log, ratio) in self.log_e.iter_mut().zip(SAMPLE_RATIOS) {
            let theta = (s * ratio).min(f64::midpoint(s, 1.0));
            let step = canary * (theta / s).ln() + stable * ((1.0 - theta) / (1.0 - s)).ln();
            *log = (*log + eta * step).clamp(-LOG_LIMIT, LOG_LIMIT);
        }
        let counts = Counts { n, e: ended.canary };
        self.dispersion.observe("", counts);
        let weight = 1.0 / SAMPLE_RATIOS.len() as f64;
        let value = log_sum(self.log_e.iter().map(|&log| (weight, log)));
        self.alarm |= value >= -SAMPLE_RATIO_ALPHA.ln();
    }
}

/// The window of both arms' errors, as guards count them: whatever the reason.
pub(super) fn any_reason(errors: Window, rejections: Window) -> Window {
    let both = |errors: Counts, rejections: Counts| Counts {
        n: errors.n.saturating_add(rejections.e),
        e: errors.e.saturating_add(rejections.e),
    };
    Arms {
        canary: both(errors.canary, rejections.canary),
        stable: both(errors.stable, rejections.stable),
    }
}
