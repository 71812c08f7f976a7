//! Which addresses are never, sometimes, always permitted.
//!
//! One table for what each range means; a slow reference for what a network contains; and the law
//! that an IPv4 address cannot hide inside an IPv6 one.

use proptest::prelude::*;

use super::*;

fn judged(networks: &[&str], address: &str) -> &'static str {
    let networks = Networks::parse(networks).unwrap();
    match networks.permits(address.parse().unwrap()) {
        Ok(()) => "yes",
        Err(Refusal::Never(..)) => "never",
        Err(Refusal::NotAllowed(..)) => "ask",
    }
}

#[rustfmt::skip]
#[test]
fn each_address_is_judged_by_its_range() {
    let table = [
        ("8.8.8.8", "yes"), ("203.0.113.7", "yes"), ("2606:4700::1111", "yes"), ("172.32.0.1", "yes"), ("100.128.0.1", "yes"),
        ("127.0.0.1", "ask"), ("127.255.255.254", "ask"), ("::1", "ask"), ("10.1.2.3", "ask"), ("172.16.0.1", "ask"),
        ("172.31.255.255", "ask"), ("192.168.1.1", "ask"), ("100.64.0.1", "ask"), ("198.19.0.1", "ask"), ("fd12::1", "ask"),
        ("fec0::1", "ask"), ("::ffff:10.0.0.1", "ask"), ("::ffff:127.0.0.1", "ask"), ("::127.0.0.1", "ask"),
        ("64:ff9b::7f00:1", "ask"), ("64:ff9b:1::a00:1", "ask"), ("2002:7f00:1::", "ask"), ("2002:a00:1::1", "ask"),
        ("0.0.0.0", "never"), ("0.1.2.3", "never"), ("::", "never"), ("::ffff:0.0.0.0", "never"), ("169.254.169.254", "never"),
        ("169.254.0.1", "never"), ("::ffff:169.254.169.254", "never"), ("64:ff9b::a9fe:a9fe", "never"), ("2002:a9fe:a9fe::", "never"),
        ("fe80::1", "never"), ("febf::1", "never"), ("fd00:ec2::254", "never"), ("100.100.100.200", "never"), ("168.63.129.16", "never"),
        ("224.0.0.1", "never"), ("239.255.255.255", "never"), ("ff02::1", "never"), ("255.255.255.255", "never"), ("240.0.0.1", "never"),
    ];
    for (address, expected) in table {
        assert_eq!(judged(&[], address), expected, "{address}");
        let opened = if expected == "never" { "never" } else { "yes" };
        assert_eq!(judged(&["0.0.0.0/0", "::/0"], address), opened, "{address}, all networks allowed");
    }
}

#[test]
fn a_network_opens_what_is_inside_it_and_no_more() {
    assert_eq!(judged(&["10.1.0.0/16"], "10.1.255.255"), "yes");
    assert_eq!(judged(&["10.1.0.0/16"], "10.2.0.0"), "ask");
    assert_eq!(judged(&["10.1.2.3/8"], "10.9.9.9"), "yes");
    assert_eq!(judged(&["127.0.0.0/8"], "::1"), "ask");
    assert_eq!(judged(&["127.0.0.0/8"], "::ffff:127.0.0.1"), "yes");
    assert_eq!(judged(&["::1/128"], "127.0.0.1"), "ask");
    assert_eq!(judged(&["::/0"], "::ffff:127.0.0.1"), "ask");
    assert_eq!(judged(&["192.168.1.1/32", "fd00::/8"], "fd00::1"), "yes");
}

#[test]
fn a_refusal_tells_the_way_out() {
    let refusal = Networks::default()
        .permits("127.0.0.1".parse().unwrap())
        .unwrap_err();
    let text = "127.0.0.1 is a loopback address: add 127.0.0.0/8 to server.allowedNetworks";
    assert_eq!(refusal.to_string(), text);
    let refusal = Networks::default().permits("::ffff:169.254.169.254".parse().unwrap());
    let text = "169.254.169.254 is a cloud's metadata address: never allowed for a provider";
    assert_eq!(refusal.unwrap_err().to_string(), text);
}

#[rustfmt::skip]
#[test]
fn networks_are_an_address_and_a_prefix() {
    let table = [
        ("10.0.0.0/8", None), ("::/0", None), ("0.0.0.0/0", None), ("1.2.3.4/32", None), ("::1/128", None),
        ("10.0.0.1", Some(BadNetwork::NoPrefix("10.0.0.1".parse().unwrap(), 32))),
        ("::1", Some(BadNetwork::NoPrefix("::1".parse().unwrap(), 128))),
        ("10.0.0.0/33", Some(BadNetwork::PrefixTooLong(32))), ("::/129", Some(BadNetwork::PrefixTooLong(128))),
        ("10.0.0.0/999", Some(BadNetwork::PrefixTooLong(32))),
        ("10.0.0.0/", Some(BadNetwork::NotANetwork)), ("10.0.0.0/+8", Some(BadNetwork::NotANetwork)),
        ("10.0.0/8", Some(BadNetwork::NotANetwork)), ("localhost/8", Some(BadNetwork::NotANetwork)), ("", Some(BadNetwork::NotANetwork)),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<Network>().err(), expected, "{text:?}");
    }
    assert_eq!(Networks::parse(&["10.0.0.0/8", "x"]), Err((1, BadNetwork::NotANetwork)));
}

proptest! {
    /// A slow reference: compare the first `prefix_len` bits one by one.
    #[test]
    fn a_network_contains_what_shares_its_first_bits(base: u128, flip in 0u32..128, prefix_len in 0u8..=128) {
        let v6 = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
        let network: Network = format!("{}/{prefix_len}", v6(base)).parse().unwrap();
        let other = base ^ (1 << (127 - flip));
        prop_assert!(network.contains(v6(base)));
        prop_assert_eq!(network.contains(v6(other)), flip >= u32::from(prefix_len));
    }

    #[test]
    fn an_ipv4_address_is_judged_alike_in_every_ipv6_clothing(bits: u32) {
        let networks = Networks::parse(&["10.0.0.0/9"]).unwrap();
        let v4 = Ipv4Addr::from_bits(bits);
        let plain = networks.permits(v4.into()).is_ok();
        let wide = u128::from(bits);
        let clothed = [0xffff << 32 | wide, 0x64_ff9b << 96 | wide, 0x2002 << 112 | wide << 80];
        for clothed in clothed {
            let address = Ipv6Addr::from_bits(clothed);
            prop_assert_eq!(networks.permits(address.into()).is_ok(), plain, "{}", address);
        }
    }
}
