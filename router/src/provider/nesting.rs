//! Is this JSON value whole?
//!
//! A large answer is relayed as it comes, and a chunked body that was cut ends like one that was not:
//! only the brackets tell. They are counted as the bytes go by, strings stepped over.
//! Always: any cutting of the same bytes gives the same answer.

/// What is open so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    depth: u32,
    in_string: bool,
    after_backslash: bool,
    has_begun: bool,
}

impl Nesting {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.in_string {
                self.step_in_string(*byte);
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.has_begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// An object or a list has begun, and everything that was opened is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }

    fn step_in_string(&mut self, byte: u8) {
        match byte {
            _ if self.after_backslash => self.after_backslash = false,
            b'\\' => self.after_backslash = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_value_is_closed_however_it_is_cut() {
        let whole = br#"{"a":[1,{"b":"}]\"\\"}],"c":"[{"}"#;
        for cut in 0..=whole.len() {
            let (first, second) = whole.split_at(cut);
            let mut nesting = Nesting::default();
            nesting.take(first);
            assert_eq!(nesting.is_closed(), cut == whole.len(), "after {cut} bytes");
            nesting.take(second);
            assert!(nesting.is_closed(), "cut at {cut}");
        }
        assert!(!Nesting::default().is_closed(), "nothing is not a value");
    }
}
