//! The e-process held against exact enumeration, a slow minimiser and seeded runs.

mod runs;

use super::{
    super::{certificate::Certificate, chance::Chance, sample::Arms},
    *,
};

const NULLS: [(f64, f64); 14] = [
    (0.0, 0.01),
    (0.0, 0.1),
    (0.0, 0.5),
    (0.5, 0.02),
    (1.0, 0.0),
    (1.0, 0.005),
    (1.0, 0.02),
    (1.0, 0.3),
    (1.2, 0.0),
    (1.2, 0.02),
    (2.0, 0.0),
    (2.0, 0.005),
    (2.0, 0.05),
    (5.0, 0.1),
];
const THETAS: [f64; 9] = [0.0, 0.001, 0.05, 0.3, 0.5, 0.9, 0.97, 0.999, 1.0];
const SIZES: [(u64, u64); 5] = [(1, 1), (4, 2), (2, 5), (6, 0), (3, 3)];

fn null(ratio: f64, margin: f64) -> Null {
    Null { ratio, margin }
}

fn window(n_c: u64, e_c: u64, n_b: u64, e_b: u64) -> Window {
    Arms {
        canary: Counts { n: n_c, e: e_c },
        stable: Counts { n: n_b, e: e_b },
    }
}

fn binomial(n: u64, e: u64, p: f64) -> f64 {
    let ways = (0..e).fold(1.0, |ways, i| ways * (n - i) as f64 / (i + 1) as f64);
    ways * p.powi(e as i32) * (1.0 - p).powi((n - e) as i32)
}

/// The largest expectation of any alternative's factor over a grid of points that `is_null`.
fn largest(
    sizes: (u64, u64),
    factors: impl Fn(Window) -> Vec<f64>,
    is_null: impl Fn(f64, f64) -> bool,
    line: impl Fn(f64) -> f64,
) -> f64 {
    let (n_c, n_b) = sizes;
    let outcomes: Vec<(u64, u64, Vec<f64>)> = (0..=n_c)
        .flat_map(|e_c| (0..=n_b).map(move |e_b| (e_c, e_b)))
        .map(|(e_c, e_b)| (e_c, e_b, factors(window(n_c, e_c, n_b, e_b))))
        .collect();
    let mut largest: f64 = 0.0;
    for i in 0..=40 {
        let p_b = f64::from(i) / 40.0;
        let edge = line(p_b).clamp(0.0, 1.0);
        let grid = (0..=10).map(|j| f64::from(j) / 10.0);
        let points = grid.chain([edge, edge * 0.9, edge + 0.1 * (1.0 - edge)]);
        for p_c in points.filter(|&p_c| is_null(p_c, p_b)) {
            let alternatives = outcomes[0].2.len();
            for k in 0..alternatives {
                let expected = outcomes.iter().map(|(e_c, e_b, factors)| {
                    binomial(n_c, *e_c, p_c) * binomial(n_b, *e_b, p_b) * factors[k]
                });
                largest = largest.max(expected.sum());
            }
        }
    }
    largest
}

#[test]
fn no_point_of_the_null_expects_more_than_one_from_a_window() {
    for (ratio, margin) in NULLS {
        let null = null(ratio, margin);
        for theta_b in THETAS {
            for sizes in SIZES {
                let factors = |window| log_factors(window, null, theta_b).map(f64::exp).to_vec();
                let line = |p_b| ratio * p_b + margin;
                let largest = largest(sizes, factors, |p_c, p_b| p_c <= line(p_b), line);
                assert!(
                    largest <= 1.0 + 1e-9,
                    "{null:?}, θ_b {theta_b}, sizes {sizes:?}: {largest}"
                );
            }
        }
    }
}

#[test]
fn no_canary_that_is_worse_expects_more_than_one_from_a_certificate() {
    // The last two margins are below what rates are clipped to.
    let tiny = [(1.0, 5e-7), (0.0, 5e-7)];
    let nulls = NULLS.into_iter().chain(tiny);
    for (ratio, margin) in nulls.filter(|(_, margin)| *margin > 0.0) {
        let line_null = null(ratio, margin);
        for theta_b in THETAS {
            for sizes in SIZES {
                let factors = |window| {
                    let mut certificate = Certificate::default();
                    certificate.observe(window, line_null, theta_b, 1.0);
                    certificate.log_e.map(f64::exp).to_vec()
                };
                let line = |p_b| ratio * p_b + margin;
                let largest = largest(sizes, factors, |p_c, p_b| p_c >= line(p_b), line);
                assert!(
                    largest <= 1.0 + 1e-9,
                    "{line_null:?}, θ_b {theta_b}, sizes {sizes:?}: {largest}"
                );
            }
        }
    }
}

#[test]
fn tempered_windows_stay_within_one_too() {
    for eta in [0.05, 0.2, 0.7] {
        for theta_b in THETAS {
            let null = null(1.0, 0.005);
            let factors = |window| {
                let factors = log_factors(window, null, theta_b);
                factors.map(|log| (eta * log).exp()).to_vec()
            };
            let line = |p_b| p_b + 0.005;
            let largest = largest((4, 4), factors, |p_c, p_b| p_c <= line(p_b), line);
            assert!(largest <= 1.0 + 1e-9, "η {eta}, θ_b {theta_b}: {largest}");
        }
    }
}

/// The projection by brute force: three sweeps of a thousand points, each around the best so far.
fn project_slowly(n_c: f64, n_b: f64, theta_c: f64, theta_b: f64, null: Null) -> (f64, f64) {
    let kl = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    let cost = |p_b: f64| {
        let p_c = null.ratio * p_b + null.margin;
        if !(p_c > 0.0 && p_c < 1.0 && p_b > 0.0 && p_b < 1.0) {
            return f64::MAX;
        }
        n_c * kl(theta_c, p_c) + n_b * kl(theta_b, p_b)
    };
    let (mut low, mut high, mut best) = (0.0, 1.0, 0.5);
    for _ in 0..4 {
        let width = (high - low) / 1000.0;
        for i in 0..=1000 {
            let p_b = low + width * f64::from(i);
            if cost(p_b) < cost(best) {
                best = p_b;
            }
        }
        (low, high) = (best - 2.0 * width, best + 2.0 * width);
    }
    (null.ratio * best + null.margin, best)
}

#[test]
fn the_projection_is_where_brute_force_finds_it() {
    let mut compared = 0;
    for (ratio, margin) in NULLS.into_iter().filter(|(ratio, _)| *ratio > 0.0) {
        for theta_b in [0.01, 0.1, 0.5, 0.9] {
            let limit = ratio * theta_b + margin;
            let above = EXCESS.map(|excess| limit + excess);
            let below = [0.25, 0.5, 0.75].map(|part| ratio * theta_b + part * margin);
            for theta_c in above.into_iter().chain(below).filter(|&t| t < 0.999) {
                for (n_c, n_b) in [(10.0, 190.0), (50.0, 50.0), (300.0, 10.0)] {
                    let null = null(ratio, margin);
                    let (p_c, p_b) = project(n_c, n_b, theta_c, theta_b, null);
                    let (q_c, q_b) = project_slowly(n_c, n_b, theta_c, theta_b, null);
                    assert!(
                        (p_b - q_b).abs() < 1e-6 && (p_c - q_c).abs() < 1e-5,
                        "{null:?} θ ({theta_c}, {theta_b}) n ({n_c}, {n_b}): ({p_c}, {p_b}) is \
                         not ({q_c}, {q_b})"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 800, "{compared}");
}

#[test]
fn whole_rollouts_of_two_windows_expect_at_most_one() {
    // Every pair of outcomes of two windows, with a component started before each.
    let (n, null) = (3, null(1.0, 0.02));
    let outcomes: Vec<(u64, u64)> = (0..=n).flat_map(|c| (0..=n).map(move |b| (c, b))).collect();
    for p_b in [0.0, 0.1, 0.5, 0.9, 0.98] {
        let p_c = p_b + 0.02;
        let likely = |(e_c, e_b): (u64, u64)| binomial(n, e_c, p_c) * binomial(n, e_b, p_b);
        let mut expected = 0.0;
        for first in &outcomes {
            for second in &outcomes {
                let mut process = EProcess::default();
                for (e_c, e_b) in [*first, *second] {
                    process.start_component(2);
                    process.observe(window(n, e_c, n, e_b), null, 0.05, 1.0);
                }
                expected += likely(*first) * likely(*second) * process.log_value(2).exp();
            }
        }
        assert!(expected <= 1.0 + 1e-9, "{p_b}: {expected}");
    }
}

#[test]
fn a_sum_of_starts_is_what_they_are_one_by_one() {
    let mut chance = Chance::seeded(7);
    let (k, null, theta) = (4, null(1.0, 0.005), 0.01);
    let mut process = EProcess::default();
    // Weight and logarithms of all that was started.
    let mut starts: Vec<(f64, [f64; ALTERNATIVES])> = Vec::new();
    let mut since = 0.0;
    for i in 0..120 {
        if i % 30 == 0 && i < 90 {
            process.start_component(k);
            starts.push((0.95, [0.0; ALTERNATIVES]));
            since = 0.0;
        }
        let e_c = chance.events(25, 0.03);
        let window = window(25, e_c, 475, chance.events(475, 0.01));
        process.observe(window, null, theta, 1.0);
        let factors = log_factors(window, null, theta);
        for (_, logs) in &mut starts {
            for (log, factor) in logs.iter_mut().zip(factors) {
                *log += factor;
            }
        }
        since += 1.0;
        starts.push((0.05 / (since * (since + 1.0)), [0.0; ALTERNATIVES]));
        let of = |logs: &[f64; ALTERNATIVES]| {
            let both = PRIOR.iter().zip(logs);
            both.map(|(pi, log)| pi * log.exp()).sum::<f64>()
        };
        let running: f64 = starts.iter().map(|(weight, logs)| weight * of(logs)).sum();
        let begun: f64 = starts.iter().map(|(weight, _)| weight).sum();
        let expected = (running + f64::from(k) - begun) / f64::from(k);
        let value = process.log_value(k).exp();
        assert!(
            (value / expected - 1.0).abs() < 1e-6,
            "{i}: {value} {expected}"
        );
    }
}

#[test]
fn exposures_beyond_k_open_no_component() {
    let mut process = EProcess::default();
    for _ in 0..9 {
        process.start_component(3);
    }
    assert_eq!(process.started, 3);
    assert!(process.log_value(3).abs() < 1e-12);
}

#[test]
fn a_long_good_time_saves_up_a_bounded_credit() {
    let null = null(1.0, 0.005);
    let mut process = EProcess::default();
    process.start_component(1);
    for _ in 0..20_000 {
        process.observe(window(50, 0, 450, 4), null, 0.01, 1.0);
    }
    let mut windows = 0;
    while process.log_value(1) < 100f64.ln() {
        process.observe(window(50, 3, 450, 4), null, 0.01, 1.0);
        windows += 1;
        assert!(windows < 60, "{:?}", process.log_e);
    }
}

#[test]
fn a_smoothed_rate_forgets_in_half_lives_and_outlives_silence() {
    let mut rate = Smoothed::of_hour(Counts {
        n: 100_000,
        e: 1000,
    });
    assert!((rate.rate().unwrap() - 0.01).abs() < 1e-4);
    // Half an hour of ten times the errors: it is not far beyond half way.
    for _ in 0..180 {
        rate.observe(Counts { n: 278, e: 28 }, 10_000);
    }
    let moved = rate.rate().unwrap();
    assert!((0.05..0.075).contains(&moved), "{moved}");
    rate.observe(Counts { n: 1, e: 0 }, u64::MAX);
    assert!(rate.rate().is_some_and(f64::is_finite));
    assert_eq!(Smoothed::default().rate(), None);
    assert_eq!(Smoothed::of_hour(Counts::default()).rate(), None);
}

#[test]
fn no_counts_make_a_number_that_is_none() {
    let big = 1u64 << 53;
    let sides = [
        (0, 0),
        (1, 0),
        (1, 1),
        (7, 9),
        (big, 0),
        (big, big),
        (big, 5),
    ];
    for (ratio, margin) in NULLS
        .into_iter()
        .chain([(1e-9, 0.0), (1e9, 1.0), (0.0, 0.0)])
    {
        for theta_b in [0.0, 1e-300, 0.5, 1.0, 2.0] {
            let mut process = EProcess::default();
            process.start_component(2);
            let mut certificate = Certificate::default();
            let mut rate = Smoothed::default();
            for (n_c, e_c) in sides {
                for (n_b, e_b) in sides {
                    let window = window(n_c, e_c, n_b, e_b);
                    process.observe(window, null(ratio, margin), theta_b, 1.0);
                    certificate.observe(window, null(ratio, margin), theta_b, 1.0);
                    rate.observe(window.stable, n_c);
                    let values = [
                        process.log_value(2),
                        certificate.log_value(),
                        rate.a,
                        rate.n,
                    ];
                    assert!(
                        values.iter().all(|v| v.is_finite()),
                        "{window:?} {values:?}"
                    );
                }
            }
        }
    }
}
