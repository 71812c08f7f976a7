//! A JSON answer that is too large to hold: what is still learnt of it as it goes by.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::provider::{
    nesting::Nesting,
    usage::{self, TAIL_BYTES, Usage},
};

/// Its last bytes, for that is where usage stands, and whether it has come to its end.
#[derive(Debug, Default)]
pub(crate) struct LargeJson {
    tail: BytesMut,
    nesting: Nesting,
}

impl LargeJson {
    /// With what was held until it proved too large.
    pub(crate) fn begun_with(held: &VecDeque<Bytes>) -> Self {
        let mut large = Self::default();
        for chunk in held {
            large.take(chunk);
        }
        large
    }

    /// The next bytes go by.
    pub(crate) fn take(&mut self, chunk: &Bytes) {
        self.nesting.take(chunk);
        let news = chunk.len().saturating_sub(TAIL_BYTES);
        self.tail
            .extend_from_slice(chunk.get(news..).unwrap_or_default());
        if self.tail.len() > TAIL_BYTES {
            self.tail = self.tail.split_off(self.tail.len() - TAIL_BYTES);
        }
    }

    /// The value that began has ended.
    pub(crate) fn is_whole(&self) -> bool {
        self.nesting.is_closed()
    }

    /// What the provider says it used.
    pub(crate) fn usage(&self) -> Option<Usage> {
        usage::in_tail(&self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_wherever_the_bytes_were_cut() {
        let filler = "x".repeat(3 * TAIL_BYTES);
        let answer =
            format!(r#"{{"data":"{filler}","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#);
        for cut in [1, TAIL_BYTES, answer.len() - 20, answer.len()] {
            let (held, rest) = answer.as_bytes().split_at(cut);
            let mut large = LargeJson::begun_with(&VecDeque::from([Bytes::copy_from_slice(held)]));
            assert_eq!(large.is_whole(), rest.is_empty());
            large.take(&Bytes::copy_from_slice(rest));
            assert!(large.is_whole());
            assert_eq!(
                large.usage().map(|usage| usage.input),
                Some(8),
                "cut at {cut}"
            );
        }
    }
}
