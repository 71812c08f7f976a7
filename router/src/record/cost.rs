//! What did an answer cost?
//!
//! Prices are US dollars per million tokens; they become whole billionths of a dollar per million
//! tokens once, when a snapshot is built. Costs are integers from there on: Σ tokens × price,
//! divided by a million and rounded half up, once, at the end.
//!
//! Always: no price, no cost. If tokens of a type were used and nothing says what they cost, there
//! is no cost either: a sum of the known half would look like a real one.

use serin_proto::unit::NanoUsd;
use serin_proto::v1;

use crate::provider::usage::Split;

const TOKENS_PER_PRICE: u128 = 1_000_000;

/// A target's prices by type of token, in billionths of a dollar per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prices {
    input: Option<u64>,
    cached_input: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

impl Prices {
    /// Compiles a price as documented: cached input costs `cachedInput` or else `input`, reasoning
    /// costs `reasoning` or else `output`. Each price is rounded to a billionth of a dollar.
    pub(crate) fn new(price: &v1::Price) -> Self {
        let input = price.input.and_then(nanos);
        let output = price.output.and_then(nanos);
        Self {
            input,
            cached_input: price.cached_input.and_then(nanos).or(input),
            output,
            reasoning: price.reasoning.and_then(nanos).or(output),
        }
    }

    /// The cost of so many tokens; `None` if a price for some of them is missing, or if there are
    /// no prices at all.
    pub(crate) fn cost(&self, tokens: &Split) -> Option<NanoUsd> {
        let parts = [
            (tokens.input, self.input),
            (tokens.cached_input, self.cached_input),
            (tokens.output, self.output),
            (tokens.reasoning, self.reasoning),
        ];
        if parts.iter().all(|(_, price)| price.is_none()) {
            return None;
        }
        let mut sum: u128 = 0;
        for (count, price) in parts.into_iter().filter(|(count, _)| *count > 0) {
            sum = sum.saturating_add(u128::from(count) * u128::from(price?));
        }
        let nano_usd = sum.saturating_add(TOKENS_PER_PRICE / 2) / TOKENS_PER_PRICE;
        Some(NanoUsd(u64::try_from(nano_usd).unwrap_or(u64::MAX)))
    }
}

/// Dollars as whole billionths; `None` for what is no price (validation refuses it before).
fn nanos(usd: f64) -> Option<u64> {
    // A cast from float saturates; rounding first makes 0.15 exactly 150 000 000.
    (usd.is_finite() && usd >= 0.0).then(|| (usd * 1e9).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: Option<f64>, cached: Option<f64>, output: Option<f64>) -> v1::Price {
        v1::Price {
            input,
            cached_input: cached,
            output,
            reasoning: None,
        }
    }

    fn tokens(input: u64, cached_input: u64, output: u64, reasoning: u64) -> Split {
        Split {
            input,
            cached_input,
            output,
            reasoning,
        }
    }

    #[rustfmt::skip]
    #[test]
    fn cost_is_the_sum_of_tokens_times_price() {
        let gpt = price(Some(2.0), Some(0.5), Some(8.0));
        let claude = price(Some(3.0), None, Some(15.0));
        let embedding = price(Some(0.02), None, None);
        let table = [
            // price            tokens                        nano-USD
            (&gpt,              tokens(1000, 0, 0, 0),        Some(2_000_000)),
            (&gpt,              tokens(1000, 1000, 100, 50),  Some(2_000_000 + 500_000 + 800_000 + 400_000)),
            (&gpt,              tokens(0, 0, 0, 0),           Some(0)),
            (&claude,           tokens(10, 10, 0, 0),         Some(60_000)),   // cached at the input price
            (&claude,           tokens(0, 0, 1, 1),           Some(30_000)),   // reasoning at the output price
            (&embedding,        tokens(7, 0, 0, 0),           Some(140)),      // less than a micro-dollar
            (&embedding,        tokens(7, 0, 1, 0),           None),           // nothing says what output costs
            (&price(None, None, None), tokens(7, 0, 0, 0),    None),
            (&price(None, None, None), tokens(0, 0, 0, 0),    None),
            (&price(Some(0.0), None, Some(0.0)), tokens(7, 1, 9, 0), Some(0)), // free is a price
            (&price(Some(0.0005), None, None), tokens(1, 0, 0, 0), Some(1)),   // half a billionth rounds up
            (&price(Some(0.0004), None, None), tokens(1, 0, 0, 0), Some(0)),
            (&price(Some(0.1), None, Some(0.2)), tokens(1, 0, 1, 0), Some(300)), // no 0.30000000000000004
            (&price(Some(f64::NAN), None, Some(-1.0)), tokens(1, 0, 1, 0), None),
        ];
        for (price, tokens, nano_usd) in table {
            let cost = Prices::new(price).cost(&tokens);
            assert_eq!(cost, nano_usd.map(NanoUsd), "{price:?} {tokens:?}");
        }
    }

    #[test]
    fn reasoning_has_a_price_of_its_own_if_written() {
        let price = v1::Price {
            reasoning: Some(1.0),
            ..price(None, None, Some(8.0))
        };
        assert_eq!(
            Prices::new(&price).cost(&tokens(0, 0, 0, 3)),
            Some(NanoUsd(3_000))
        );
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let price = price(Some(1e9), Some(1e300), Some(1e9));
        let all = tokens(u64::MAX, u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(Prices::new(&price).cost(&all), Some(NanoUsd(u64::MAX)));
    }
}
