//! Bytes of an answer with the places that differ from request to request.
//!
//! Only the id differs, and it always has 16 characters; so an answer is rendered once per script
//! and each request copies it and writes its id over the placeholders. That is what makes the
//! simulator faster than what it tests.

/// Length of an id behind its prefix (`chatcmpl-`).
const ID_BYTES: usize = 16;

/// Text being written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ink {
    pub(super) bytes: Vec<u8>,
    /// Where the placeholders begin.
    pub(super) ids: Vec<usize>,
}

impl Ink {
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// A JSON string, quoted and escaped.
    pub(super) fn quoted(&mut self, text: &str) -> &mut Self {
        serde_json::to_writer(&mut self.bytes, text).expect("a string into a Vec cannot fail");
        self
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }

    /// The 16 characters that differ.
    pub(super) fn id(&mut self) -> &mut Self {
        self.ids.push(self.bytes.len());
        self.bytes.extend_from_slice(&[b'0'; ID_BYTES]);
        self
    }

    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        let start = self.bytes.len();
        self.ids.extend(other.ids.iter().map(|at| at + start));
        self.bytes.extend_from_slice(&other.bytes);
        self
    }

    /// `other` as one chunk of a chunked body.
    pub(super) fn chunk(&mut self, other: &Self) -> &mut Self {
        self.text(&format!("{:x}\r\n", other.bytes.len()))
            .append(other)
            .text("\r\n")
    }
}

/// Writes `id` over the placeholders.
pub(super) fn stamp(bytes: &mut [u8], ids: &[usize], id: u64) {
    let mut text = [0; ID_BYTES];
    for (index, digit) in text.iter_mut().enumerate() {
        let nibble = (id >> (60 - 4 * index)) & 15;
        *digit = b"0123456789abcdef"
            .get(nibble as usize)
            .copied()
            .unwrap_or(b'0');
    }
    for at in ids {
        // A cut may have taken the placeholder's end away; what is left is stamped as far as it goes.
        for (byte, digit) in bytes.iter_mut().skip(*at).zip(text) {
            *byte = digit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_wherever_it_was_left_out() {
        let mut event = Ink::default();
        event.text("<").id().text(">");
        let mut all = Ink::default();
        all.text("#").chunk(&event).append(&event);
        stamp(&mut all.bytes, &all.ids, 0x0123_4567_89ab_cdef);
        assert_eq!(
            String::from_utf8(all.bytes).unwrap(),
            "#12\r\n<0123456789abcdef>\r\n<0123456789abcdef>"
        );
    }
}
