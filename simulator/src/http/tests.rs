//! Heads and bodies that are read one way only, and all others refused.
//!
//! The tables hold the spellings with which request smuggling is done; the properties say that no
//! bytes make a parser panic and that the cuts between reads mean nothing.

use proptest::prelude::*;

use super::*;

const GOOD: &str = "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\n";

fn framing(fields: &str) -> Result<Framing, Refusal> {
    let text = format!("{GOOD}{fields}\r\n");
    head(text.as_bytes(), true).map(|read| read.unwrap().0.framing)
}

#[rustfmt::skip]
#[test]
fn a_body_has_one_end_or_the_request_is_refused() {
    let table = [
        ("",                                                          Ok(Framing::Length(0))),
        ("content-length: 12\r\n",                                    Ok(Framing::Length(12))),
        ("Transfer-Encoding: Chunked\r\n",                            Ok(Framing::Chunked)),
        ("content-length: 1\r\ncontent-length: 1\r\n",                Err(Refusal::Malformed)),
        ("content-length: 1\r\ntransfer-encoding: chunked\r\n",       Err(Refusal::Malformed)),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", Err(Refusal::Malformed)),
        ("transfer-encoding: gzip, chunked\r\n",                      Err(Refusal::Malformed)),
        ("transfer-encoding: \u{b}chunked\r\n",                       Err(Refusal::Malformed)),
        ("content-length: +1\r\n",                                    Err(Refusal::Malformed)),
        ("content-length: -1\r\n",                                    Err(Refusal::Malformed)),
        ("content-length: 1_0\r\n",                                   Err(Refusal::Malformed)),
        ("content-length: 1, 1\r\n",                                  Err(Refusal::Malformed)),
        ("content-length:\r\n",                                       Err(Refusal::Malformed)),
        ("content-length: 18446744073709551616\r\n",                  Err(Refusal::TooLarge)),
        ("content-length: 67108865\r\n",                              Err(Refusal::TooLarge)),
        ("host: b\r\n",                                               Err(Refusal::Malformed)),
        (" folded: 1\r\n",                                            Err(Refusal::Malformed)),
    ];
    for (fields, expected) in table {
        assert_eq!(framing(fields), expected, "{fields:?}");
    }
}

#[rustfmt::skip]
#[test]
fn what_is_no_request_of_http_1_1_is_refused() {
    let table = [
        ("POST /v1/x HTTP/1.0\r\nhost: a\r\n\r\n",     Refusal::OldHttp),
        ("POST /v1/x\r\n\r\n",                         Refusal::Malformed),
        ("POST http://a/v1/x HTTP/1.1\r\nhost: a\r\n\r\n", Refusal::Malformed),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",           Refusal::Malformed),
        ("GET / HTTP/1.1\r\n\r\n",                     Refusal::Malformed),
        ("\u{16}\u{3}\u{1}\u{2}",                      Refusal::Malformed),
    ];
    for (text, refusal) in table {
        assert_eq!(head(text.as_bytes(), false), Err(refusal), "{text:?}");
    }
    let many = format!("{GOOD}{}\r\n", "a: b\r\n".repeat(HEADERS_MAX));
    assert_eq!(head(many.as_bytes(), false), Err(Refusal::HeadTooLarge));
    let long = format!("{GOOD}a: {}", "b".repeat(HEAD_BYTES_MAX));
    assert_eq!(head(long.as_bytes(), false), Err(Refusal::HeadTooLarge));
}

#[test]
fn the_facts_of_a_head_are_read() {
    let fields = "AUTHORIZATION: bearer sk-1 \r\nExpect: 100-Continue\r\nconnection: close\r\n";
    let text = format!("{GOOD}{fields}\r\nbody");
    let (read, length) = head(text.as_bytes(), true).unwrap().unwrap();
    assert_eq!(length, text.len() - "body".len());
    assert_eq!(
        (read.method.as_str(), read.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(read.key.as_deref(), Some("sk-1"));
    assert!(read.expects_continue && read.closes);
    assert_eq!(read.headers[1].0, "AUTHORIZATION");
}

fn dechunk(text: &[u8]) -> Result<Option<Bytes>, Refusal> {
    Incoming::new(Framing::Chunked).take(&mut BytesMut::from(text))
}

#[rustfmt::skip]
#[test]
fn chunks_are_put_together_or_refused() {
    let table: [(&str, Result<Option<&str>, Refusal>); 12] = [
        ("5\r\nhello\r\n0\r\n\r\n",                    Ok(Some("hello"))),
        ("5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n", Ok(Some("hello!"))),
        ("0\r\n\r\n",                                  Ok(Some(""))),
        ("5\r\nhel",                                   Ok(None)),
        ("0\r\n",                                      Ok(None)),
        ("5\nhello\r\n0\r\n\r\n",                      Err(Refusal::Malformed)),
        ("0x5\r\nhello\r\n0\r\n\r\n",                  Err(Refusal::Malformed)),
        ("+5\r\nhello\r\n0\r\n\r\n",                   Err(Refusal::Malformed)),
        ("1_0\r\nhello\r\n",                           Err(Refusal::Malformed)),
        ("5\r\nhelloXX0\r\n\r\n",                      Err(Refusal::Malformed)),
        ("\r\n",                                       Err(Refusal::Malformed)),
        ("fffffff\r\n",                                Err(Refusal::TooLarge)),
    ];
    for (text, expected) in table {
        let expected = expected.map(|body| body.map(|b| Bytes::copy_from_slice(b.as_bytes())));
        assert_eq!(dechunk(text.as_bytes()), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_head_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = head(&bytes, true);
        let mut behind = GOOD.as_bytes().to_vec();
        behind.extend(bytes);
        behind.extend(b"\r\n\r\n");
        let _ = head(&behind, true);
    }

    #[test]
    fn no_bytes_make_the_chunk_parser_panic(text in "[0-9a-f\r\n;x+]{0,60}") {
        let _ = dechunk(text.as_bytes());
    }

    #[test]
    fn chunks_mean_the_same_however_they_arrive(
        parts in proptest::collection::vec("[a-z\r\n]{1,20}", 0..6),
        cut in 1usize..7,
    ) {
        let framed: String = parts.iter().map(|p| format!("{:x}\r\n{p}\r\n", p.len())).collect();
        let framed = framed + "0\r\n\r\nNEXT";
        let (mut incoming, mut input) = (Incoming::new(Framing::Chunked), BytesMut::new());
        let mut body = None;
        for piece in framed.as_bytes().chunks(cut) {
            input.extend_from_slice(piece);
            if body.is_none() {
                body = incoming.take(&mut input).unwrap();
            }
        }
        prop_assert_eq!(body.unwrap(), parts.concat());
        prop_assert_eq!(&input[..], b"NEXT");
    }
}
