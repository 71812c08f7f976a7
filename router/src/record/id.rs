//! What a request is called: in its answer's head, in logs, later in traces.

use actix_web::http::header::HeaderValue;

/// What a request is called in logs, headers and traces.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    /// The caller's own, checked.
    Given(HeaderValue),
    Made(u64),
}

/// Longest id that is kept from a caller, in bytes.
const ID_BYTES_MAX: usize = 128;

impl RequestId {
    /// The caller's id, if it is one that may stand in a header and a log.
    pub(crate) fn given(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(sane);
        fits.then(|| Self::Given(value.clone()))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        match self {
            Self::Given(value) => value.clone(),
            Self::Made(id) => {
                HeaderValue::from_str(hex(*id, &mut [0; 16])).expect("hex digits are visible ASCII")
            }
        }
    }
}

/// Sixteen hex digits.
pub(crate) fn hex(id: u64, digits: &mut [u8; 16]) -> &str {
    for (at, digit) in digits.iter_mut().enumerate() {
        let nibble = (id >> (60 - 4 * at)) & 0xf;
        *digit = b"0123456789abcdef"[usize::from(nibble as u8)];
    }
    std::str::from_utf8(digits).expect("hex digits are ASCII")
}
