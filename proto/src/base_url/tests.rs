//! One spelling for each address, and nothing in a URL that is no address.
//!
//! The tables list the spellings that have reached metadata services elsewhere; the properties say
//! that there are no others, and that a printed URL reads back.

use proptest::prelude::*;

use super::*;

#[rustfmt::skip]
#[test]
fn urls_come_apart() {
    let table = [
        ("https://api.openai.com/v1", "https://api.openai.com:443/v1"),
        ("HTTPS://API.OpenAI.com./v1/", "https://api.openai.com:443/v1"),
        ("http://host", "http://host:80"), ("http://host:8000", "http://host:8000"), ("http://host/", "http://host:80"),
        ("http://127.0.0.1:8070/v1", "http://127.0.0.1:8070/v1"), ("http://[::1]:80/a/b", "http://[::1]:80/a/b"),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]:80"), ("http://my_host.svc:1/%20", "http://my_host.svc:1/%20"),
        ("http://xn--bcher-kva.example", "http://xn--bcher-kva.example:80"), ("http://1.example", "http://1.example:80"),
        ("http://0x.example", "http://0x.example:80"), ("http://2130706433.example", "http://2130706433.example:80"),
    ];
    for (text, expected) in table {
        let url = BaseUrl::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
        assert_eq!(url.to_string(), expected, "{text}");
        assert_eq!(BaseUrl::parse(expected), Ok(url), "{expected} reads back");
    }
}

#[rustfmt::skip]
#[test]
fn what_is_no_base_url_is_refused() {
    let table = [
        ("", BadUrl::Scheme), ("api.openai.com", BadUrl::Scheme), ("ftp://a", BadUrl::Scheme), ("file:///etc", BadUrl::Scheme),
        ("http:/a", BadUrl::Scheme), (" http://a", BadUrl::Scheme),
        ("http://", BadUrl::NoHost), ("http:///v1", BadUrl::NoHost), ("http://:80", BadUrl::NoHost), ("http://.", BadUrl::NoHost),
        ("http://u@a", BadUrl::UserInfo), ("http://u:p@a/v1", BadUrl::UserInfo), ("http://a@169.254.169.254", BadUrl::UserInfo),
        ("http://a?x=1", BadUrl::Query), ("http://a/v1?", BadUrl::Query), ("http://a#f", BadUrl::Fragment), ("http://a/#", BadUrl::Fragment),
        ("http://a:0", BadUrl::Port), ("http://a:", BadUrl::Port), ("http://a:65536", BadUrl::Port), ("http://a:+80", BadUrl::Port), ("http://::1", BadUrl::NoHost),
        ("http://a/../b", BadUrl::Path), ("http://a/%2E./b", BadUrl::Path), ("http://a/b c", BadUrl::Path), ("http://a\\@b", BadUrl::Path),
        ("http://a\\b", BadUrl::Path), ("http://a/é", BadUrl::Path), ("http://a/\n", BadUrl::Path),
        ("http://a b", BadUrl::HostName), ("http://１２７.0.0.1", BadUrl::HostName), ("http://a%2eb", BadUrl::HostName), ("http://a..b", BadUrl::HostName),
        ("http://*.a", BadUrl::HostName), ("http://127。0。0。1", BadUrl::HostName), ("http://①", BadUrl::HostName),
        ("http://[::1", BadUrl::NotAnAddress), ("http://[::1]x", BadUrl::NotAnAddress), ("http://[a]", BadUrl::NotAnAddress), ("http://[127.0.0.1]", BadUrl::NotAnAddress),
        ("http://[fe80::1%25eth0]", BadUrl::Zone), ("http://[fe80::1%eth0]", BadUrl::Zone),
        ("http://256.1.1.1", BadUrl::NotAnAddress), ("http://1.2.3.4.5", BadUrl::NotAnAddress), ("http://4294967296", BadUrl::NotAnAddress),
        ("http://a.1", BadUrl::NotAnAddress), ("http://1.2.3.09", BadUrl::NotAnAddress), ("http://127.0.0.0x1ffffffff", BadUrl::NotAnAddress),
    ];
    for (text, expected) in table {
        assert_eq!(BaseUrl::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn an_address_spelled_otherwise_is_named_and_refused() {
    let spellings = [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.0.0.1",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0177.0x0.1",
        "127.0.0.01",
        "127.0.0.1.",
    ];
    for spelling in spellings {
        let parsed = BaseUrl::parse(&format!("http://{spelling}/v1"));
        assert_eq!(
            parsed,
            Err(BadUrl::Spelling(Ipv4Addr::LOCALHOST.into())),
            "{spelling}"
        );
    }
}

proptest! {
    #[test]
    fn every_ipv4_address_has_one_spelling(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let [a, b, c, d] = v4.octets();
        let parsed = BaseUrl::parse(&format!("http://{v4}"));
        prop_assert_eq!(parsed.unwrap().host, Host::Address(v4.into()));
        let short = u32::from(c) << 8 | u32::from(d);
        let others = [format!("{bits}"), format!("0x{bits:x}"), format!("0{bits:o}"), format!("{a}.{b}.{short}"), format!("{a}.0{b:o}.{c}.0x{d:x}")];
        for other in others {
            prop_assert_eq!(BaseUrl::parse(&format!("http://{}", other)), Err(BadUrl::Spelling(v4.into())), "{}", other);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(https?://)?[a-z0-9.:@/\\[\\]%?#xé-]{0,30}") {
        if let Ok(url) = BaseUrl::parse(&text) {
            prop_assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url));
        }
    }
}
