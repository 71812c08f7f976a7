//! How likely a rate is above a bound, by its counts alone: shown to people, and decides nothing.
//!
//! `P(p > x)` of `Beta(½+e, ½+n−e)`, Jeffreys' posterior: the regularised incomplete beta function
//! by its continued fraction (Lentz; Numerical Recipes, 6.4). Pure.

use super::sample::Counts;

/// Terms of the continued fraction; it converges in about the root of the larger parameter.
const TERMS_MAX: u32 = 10_000;
const TINY: f64 = 1e-300;
/// More counts would only make it slower.
const COUNT_MAX: f64 = 1e7;

/// 0..1
#[must_use]
pub fn above(counts: Counts, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x >= 1.0 {
        return 0.0;
    }
    let e = counts.e.min(counts.n) as f64;
    let scale = (COUNT_MAX / counts.n.max(1) as f64).min(1.0);
    let (a, b) = (0.5 + e * scale, 0.5 + (counts.n as f64 - e) * scale);
    let below = if x < (a + 1.0) / (a + b + 2.0) {
        tail(a, b, x)
    } else {
        1.0 - tail(b, a, 1.0 - x)
    };
    (1.0 - below).clamp(0.0, 1.0)
}

/// `I_x(a, b)` where the fraction converges fast.
fn tail(a: f64, b: f64, x: f64) -> f64 {
    let log = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    let keep = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..=TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-12 {
            break;
        }
    }
    (log + (fraction / a).max(TINY).ln()).exp()
}

/// Stirling's series, after raising the argument.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut raised) = (x, 0.0);
    while x < 10.0 {
        raised += x.ln();
        x += 1.0;
    }
    let x2 = x * x;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x2)) / x2) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - raised
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_tables_of_the_beta_distribution_say() {
        // n and e, x, integrated numerically
        let table = [
            ([10, 0], 0.05, 0.305_062),
            ([10, 10], 0.95, 0.694_938),
            ([164, 2], 0.0143, 0.453_243),
            ([20_000, 220], 0.01, 0.920_766),
            ([0, 0], 0.5, 0.5),
        ];
        for (counts, x, expected) in table {
            let p = above(Counts::from(counts), x);
            assert!((p - expected).abs() < 1e-5, "{counts:?} {x}: {p}");
        }
    }

    #[test]
    fn it_is_a_probability_whatever_is_counted() {
        for n in [0, 1, 1 << 20, u64::MAX] {
            for e in [0, 1, n / 2, n] {
                for x in [0.0, 1e-9, 0.5, 1.0 - 1e-9, 1.0, 2.0] {
                    let p = above(Counts { n, e }, x);
                    assert!((0.0..=1.0).contains(&p), "{e} of {n}, {x}: {p}");
                }
            }
        }
    }
}
