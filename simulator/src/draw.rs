//! Chance that repeats itself: draws that follow from the seed alone.
//!
//! A draw is a hash of (seed, model, number of the request, question). There is no generator whose
//! state requests would race for: request 7 of a model draws the same whoever came in between, and
//! asking one question more changes no other answer. Pure.

use crate::script::When;

/// Which chance is meant. Each question has its own stream of draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Id = 1,
    Jitter,
    Reset,
    Hang,
    Error,
    Raw,
    Garbage,
    Cut,
    Stall,
    ErrorInStream,
    WrongLength,
    Endless,
    Trickle,
    NoUsage,
    NoDone,
    Embedding,
}

/// The draws of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    base: u64,
    /// How many requests this model answered before, since the script was set.
    pub(crate) number: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, model: &str, number: u64) -> Self {
        Self {
            base: mix(mix(seed ^ fnv(model)) ^ number),
            number,
        }
    }

    /// 64 bits for this question.
    pub(crate) fn bits(self, question: Question) -> u64 {
        mix(self.base ^ ((question as u64) << 56))
    }

    /// Uniform in 0.0..1.0.
    pub(crate) fn unit(self, question: Question) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.bits(question) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether this request is one of those that `when` means.
    pub(crate) fn hits(self, when: &When, question: Question) -> bool {
        when.covers(self.number) && self.unit(question) < when.share
    }
}

/// splitmix64's finisher: each bit of the input moves half of the output's.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, written out so that a new compiler does not change what a seed means.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(number: u64) -> Draws {
        Draws::new(7, "gpt", number)
    }

    #[test]
    fn the_same_request_always_draws_the_same() {
        assert_eq!(draws(3).bits(Question::Cut), draws(3).bits(Question::Cut));
        assert_ne!(draws(3).bits(Question::Cut), draws(4).bits(Question::Cut));
        assert_ne!(draws(3).bits(Question::Cut), draws(3).bits(Question::Stall));
        assert_ne!(
            draws(3).bits(Question::Cut),
            Draws::new(8, "gpt", 3).bits(Question::Cut)
        );
    }

    #[test]
    fn a_share_is_met_in_the_long_run() {
        for share in [0.0, 0.01, 0.25, 1.0] {
            let when = When {
                share,
                ..When::default()
            };
            let hits = (0..100_000)
                .filter(|n| draws(*n).hits(&when, Question::Error))
                .count();
            let seen = hits as f64 / 100_000.0;
            assert!((seen - share).abs() < 0.005, "{seen} of {share}");
        }
    }

    #[test]
    fn only_the_requests_of_the_window_are_hit() {
        let when = When {
            skip: 2,
            times: Some(3),
            ..When::default()
        };
        let hit: Vec<u64> = (0..10)
            .filter(|n| draws(*n).hits(&when, Question::Cut))
            .collect();
        assert_eq!(hit, [2, 3, 4]);
    }
}
