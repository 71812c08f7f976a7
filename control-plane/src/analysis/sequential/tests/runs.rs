//! Seeded runs of one metric: how soon it is right, how often wrong.

use super::*;

/// Seconds until the evidence reaches `limit`; `None` within `until`.
struct Traffic {
    rps: f64,
    share: f64,
    p_b: f64,
    tick_s: f64,
    limit: f64,
    components: u32,
}

impl Traffic {
    fn detect(&self, seed: u64, p_c: impl Fn(f64) -> f64, until: f64) -> Option<f64> {
        let mut chance = Chance::seeded(seed);
        let null = null(1.0, 0.005);
        let mut process = EProcess::default();
        process.start_component(self.components);
        let hour = (self.rps * 3600.0) as u64;
        let mut rate = Smoothed::of_hour(Counts {
            n: hour,
            e: chance.events(hour, self.p_b),
        });
        let mut at = 0.0;
        while at < until {
            at += self.tick_s;
            let all = self.rps * self.tick_s;
            let n_c = chance.arrivals(all * self.share);
            let n_b = chance.arrivals(all * (1.0 - self.share));
            let (e_c, e_b) = (chance.events(n_c, p_c(at)), chance.events(n_b, self.p_b));
            let window = window(n_c, e_c, n_b, e_b);
            process.observe(window, null, rate.rate().unwrap(), 1.0);
            rate.observe(window.stable, (self.tick_s * 1000.0) as u64);
            if process.log_value(self.components) >= self.limit.ln() {
                return Some(at);
            }
        }
        None
    }

    fn median(&self, runs: u64, p_c: f64) -> f64 {
        let seconds = (0..runs).map(|seed| self.detect(seed, |_| p_c, 7200.0).unwrap_or(7200.0));
        let mut seconds: Vec<f64> = seconds.collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

const USUAL: Traffic = Traffic {
    rps: 50.0,
    share: 0.05,
    p_b: 0.01,
    tick_s: 15.0,
    limit: 100.0,
    components: 1,
};

#[test]
fn harm_is_found_as_soon_as_the_design_expects() {
    let defaults = Traffic {
        tick_s: 5.0,
        limit: 100.0 / 0.6,
        components: 4,
        ..USUAL
    };
    let at_one_percent = Traffic {
        share: 0.01,
        ..defaults
    };
    let table = [
        ("1 → 5 %", USUAL.median(120, 0.05), 75.0..=135.0),
        (
            "the same, defaults",
            defaults.median(120, 0.05),
            85.0..=145.0,
        ),
        ("1 → 10 %", USUAL.median(120, 0.10), 15.0..=45.0),
        (
            "1 → 100 % at 1 %",
            at_one_percent.median(120, 1.0),
            5.0..=15.0,
        ),
    ];
    for (case, median, expected) in table {
        assert!(expected.contains(&median), "{case}: {median} s");
    }
}

#[test]
fn alarms_are_false_no_oftener_than_promised() {
    let (runs, alpha) = (150, 0.05);
    let edge = Traffic {
        limit: 1.0 / alpha,
        ..USUAL
    };
    // On the edge of the null, where it is easiest to be wrong.
    let alarms = (0..runs).filter(|&seed| edge.detect(1000 + seed, |_| 0.015, 1800.0).is_some());
    let alarms = alarms.count() as f64;
    let runs = runs as f64;
    let bound = runs * alpha + 3.0 * (runs * alpha * (1.0 - alpha)).sqrt();
    assert!(alarms <= bound, "{alarms} of {runs}, at most {bound}");
}
