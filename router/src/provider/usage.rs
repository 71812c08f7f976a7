//! How many tokens did an answer cost?
//!
//! Providers report `prompt_tokens` or `input_tokens`, `completion_tokens` or `output_tokens`;
//! cached tokens are counted *inside* the input and reasoning tokens *inside* the output. `split`
//! makes the four numbers disjoint, so that their sum is the total.
//!
//! Always: what is missing counts 0; what is no number of tokens is no usage at all.
//! Not here: prices (`record/cost.rs`).

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// How much of the end of a large answer is searched, in bytes.
pub(crate) const TAIL_BYTES: usize = 4096;

/// Bytes of text to one token, where nobody counted them.
const BYTES_PER_TOKEN: u64 = 4;

/// Tokens as providers report them: nested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// `cached` included.
    pub input: u64,
    pub cached: u64,
    /// `reasoning` included.
    pub output: u64,
    pub reasoning: u64,
}

/// Tokens by type, disjoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub input: u64,
    pub cached_input: u64,
    pub output: u64,
    pub reasoning: u64,
}

/// No answer has more tokens of a kind: a provider that says so would poison every sum.
const TOKENS_MAX: u64 = 1_000_000_000;

impl Usage {
    fn is_plausible(&self) -> bool {
        self.input
            .max(self.output)
            .max(self.cached)
            .max(self.reasoning)
            <= TOKENS_MAX
    }

    /// Tokens by type. A part larger than the whole that contains it counts as that whole.
    pub(crate) fn split(self) -> Split {
        let cached_input = self.cached.min(self.input);
        let reasoning = self.reasoning.min(self.output);
        Split {
            input: self.input - cached_input,
            cached_input,
            output: self.output - reasoning,
            reasoning,
        }
    }

    /// A guess for an answer that was cut, cancelled, or whose provider reports nothing: bytes of
    /// the request body and bytes of content relayed, four to a token.
    pub(crate) fn estimate(body_bytes: u64, content_bytes: u64) -> Self {
        Self {
            input: body_bytes / BYTES_PER_TOKEN,
            output: content_bytes / BYTES_PER_TOKEN,
            ..Self::default()
        }
    }
}

/// The usage in a JSON answer or in the data of an event: its `usage`, or that of its `response`.
pub(crate) fn reported(json: &[u8]) -> Option<Usage> {
    let answer: Answer<'_> = object(std::str::from_utf8(json).ok()?.trim_start())?;
    let usage = match (answer.usage, answer.response) {
        (Some(usage), _) => usage,
        (None, response) => object::<Answer<'_>>(response?.get())?.usage?,
    };
    object(usage.get())
        .map(Tokens::into)
        .filter(Usage::is_plausible)
}

/// The usage in the end of an answer that was too large to keep: the last `"usage"` in it, which
/// may begin anywhere. Give it the last [`TAIL_BYTES`].
pub(crate) fn in_tail(tail: &[u8]) -> Option<Usage> {
    let key = b"\"usage\"";
    let at = memmem::rfind(tail, key)?;
    let rest = tail
        .get(at + key.len()..)?
        .trim_ascii_start()
        .strip_prefix(b":")?;
    let value = rest.trim_ascii_start();
    // What follows the object is of no interest, so the end of input is not asked for.
    let mut json = serde_json::Deserializer::from_slice(value);
    let tokens = value
        .starts_with(b"{")
        .then(|| Tokens::deserialize(&mut json).ok())??;
    Some(Usage::from(tokens)).filter(Usage::is_plausible)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    /// Events of the Responses API carry the whole response.
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

/// Every spelling in use; of two spellings the older one counts.
#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    input_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    output_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

/// Reads an object. serde would take a list for it too, its items in the order of our fields.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(Some(text).filter(|text| text.starts_with('{'))?).ok()
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let input = tokens.prompt_tokens_details.or(tokens.input_tokens_details);
        let output = tokens
            .completion_tokens_details
            .or(tokens.output_tokens_details);
        Self {
            input: tokens.prompt_tokens.or(tokens.input_tokens).unwrap_or(0),
            cached: input.and_then(|details| details.cached_tokens).unwrap_or(0),
            output: tokens
                .completion_tokens
                .or(tokens.output_tokens)
                .unwrap_or(0),
            reasoning: output
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests;
