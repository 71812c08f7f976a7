//! Which texts may be names.
//!
//! Names stand in store keys, metric labels, URLs and headers, so they are short and plain. Aliases
//! are looser: they imitate the model names that callers already send.

/// `^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`: the name of any document and of a target.
pub fn is_name(text: &str) -> bool {
    let ends_are_plain = |byte: Option<&u8>| byte.is_some_and(|b| plain(*b));
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends_are_plain(bytes.first())
        && ends_are_plain(bytes.last())
        && bytes.iter().all(|b| plain(*b) || matches!(b, b'.' | b'-'))
}

/// `^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`: another model name for a route.
pub fn is_alias(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b'@' | b'-')
        })
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_lower_case() {
        let longest = "a".repeat(63);
        for good in ["a", "0", "gpt-4.1", "a.b-c", &longest] {
            assert!(is_name(good), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in [
            "", "-a", "a-", ".a", "a.", "A", "a_b", "a b", "a/b", "é", "a\n", &too_long,
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn aliases_look_like_model_names() {
        let longest = "a".repeat(128);
        for good in ["gpt-4", "openai/gpt-4-turbo", "A:b@c_d.e", "4", &longest] {
            assert!(is_alias(good), "{good}");
        }
        let too_long = "a".repeat(129);
        for bad in ["", "-a", "/a", "a b", "é", "a\"b", "a\n", &too_long] {
            assert!(!is_alias(bad), "{bad:?}");
        }
    }
}
