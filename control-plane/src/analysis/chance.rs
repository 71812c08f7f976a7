//! Seeded chance for simulations: the same seed draws the same runs everywhere. Not for secrets.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// 0..1, 1 excluded.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential of mean 1.
    pub(crate) fn wait(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Arrivals of a Poisson process with that many expected.
    pub(crate) fn arrivals(&mut self, expected: f64) -> u64 {
        let mut n = 0;
        let mut at = self.wait();
        while at < expected {
            n += 1;
            at += self.wait();
        }
        n
    }

    /// Events among `n`, each with chance `p`: by the gaps between the rarer outcome.
    pub(crate) fn events(&mut self, n: u64, p: f64) -> u64 {
        if p > 0.5 {
            return n - self.events(n, 1.0 - p);
        }
        if p <= 0.0 {
            return 0;
        }
        let per_gap = -(1.0 - p).ln();
        let mut events = 0;
        let mut at = self.wait() / per_gap;
        while at < n as f64 {
            events += 1;
            at = at.floor() + 1.0 + self.wait() / per_gap;
        }
        events
    }
}
