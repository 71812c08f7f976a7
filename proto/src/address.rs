//! May Serin connect to this address?
//!
//! Link-local, metadata, multicast, unspecified and reserved addresses: never, whatever is
//! configured. Private and loopback ones: only inside `server.allowedNetworks`, which is a setting,
//! so nothing in the store can widen it. All others: yes. An IPv4 address inside an IPv6 one is
//! judged as the IPv4 address, or every rule would have a way round.
//!
//! Pure: `validate` asks for literals in documents, the router for each address a name resolved to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix_len: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    #[error("a network has a prefix length: write {0}/{1}")]
    NoPrefix(IpAddr, u8),
    #[error("a network is an address, a slash and a prefix length, e.g. 10.0.0.0/8")]
    NotANetwork,
    #[error("the prefix length is at most {0}")]
    PrefixTooLong(u8),
}

/// The private and loopback ranges that providers may be in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// Why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0} is {1}: never allowed for a provider")]
    Never(IpAddr, &'static str),
    #[error("{0} is {1}: add {2} to server.allowedNetworks")]
    NotAllowed(IpAddr, &'static str, Network),
}

impl Networks {
    /// # Errors
    /// The index of the first text that is no network, and why.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, BadNetwork)> {
        let parsed = texts
            .iter()
            .enumerate()
            .map(|(i, text)| text.as_ref().parse().map_err(|bad| (i, bad)));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// # Errors
    /// Why not, with the way out if there is one.
    pub fn permits(&self, address: IpAddr) -> Result<(), Refusal> {
        let judged = unwrapped(address);
        if let Some(what) = never(judged) {
            return Err(Refusal::Never(judged, what));
        }
        let Some((what, range)) = inside(judged) else {
            return Ok(());
        };
        if self.0.iter().any(|network| network.contains(judged)) {
            return Ok(());
        }
        Err(Refusal::NotAllowed(judged, what, range))
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Network {
    /// Whether `address`, of the same family, is inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => same_prefix(
                base.to_bits().into(),
                address.to_bits().into(),
                32 - self.prefix_len,
            ),
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                same_prefix(base.to_bits(), address.to_bits(), 128 - self.prefix_len)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let longest = |base: IpAddr| if base.is_ipv4() { 32 } else { 128 };
        let Some((base, prefix_len)) = text.split_once('/') else {
            let base: IpAddr = text.parse().map_err(|_| BadNetwork::NotANetwork)?;
            return Err(BadNetwork::NoPrefix(base, longest(base)));
        };
        let base: IpAddr = base.parse().map_err(|_| BadNetwork::NotANetwork)?;
        if prefix_len.is_empty() || !prefix_len.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadNetwork::NotANetwork);
        }
        match prefix_len.parse() {
            Ok(prefix_len) if prefix_len <= longest(base) => Ok(Self { base, prefix_len }),
            _ => Err(BadNetwork::PrefixTooLong(longest(base))),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_len)
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> Network {
    Network {
        base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        prefix_len,
    }
}

const fn v6(first: u16, prefix_len: u8) -> Network {
    Network {
        base: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)),
        prefix_len,
    }
}

const fn one_v6(segments: [u16; 8]) -> Network {
    let [a, b, c, d, e, f, g, h] = segments;
    Network {
        base: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)),
        prefix_len: 128,
    }
}

/// Ranges no setting opens. Metadata services of clouds stand first, for the better message.
const NEVER: [(Network, &str); 15] = [
    (v4(169, 254, 169, 254, 32), "a cloud's metadata address"),
    (v4(169, 254, 170, 2, 32), "a cloud's metadata address"),
    (v4(100, 100, 100, 200, 32), "a cloud's metadata address"),
    (v4(168, 63, 129, 16, 32), "a cloud's metadata address"),
    (v4(192, 0, 0, 192, 32), "a cloud's metadata address"),
    (
        one_v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
        "a cloud's metadata address",
    ),
    (
        one_v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
        "a cloud's metadata address",
    ),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v6(0xfe80, 10), "a link-local address"),
    (v4(0, 0, 0, 0, 8), "an unspecified address"),
    (v6(0, 128), "an unspecified address"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v6(0xff00, 8), "a multicast address"),
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

/// Ranges that `server.allowedNetworks` opens.
const INSIDE: [(Network, &str); 10] = [
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (one_v6([0, 0, 0, 0, 0, 0, 0, 1]), "a loopback address"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(100, 64, 0, 0, 10), "a private address"),
    (v4(192, 0, 0, 0, 24), "a private address"),
    (v4(198, 18, 0, 0, 15), "a private address"),
    (v6(0xfc00, 7), "a private address"),
    (v6(0xfec0, 10), "a private address"),
];

fn never(address: IpAddr) -> Option<&'static str> {
    NEVER
        .iter()
        .find(|(network, _)| network.contains(address))
        .map(|(_, what)| *what)
}

fn inside(address: IpAddr) -> Option<(&'static str, Network)> {
    let found = INSIDE.iter().find(|(network, _)| network.contains(address));
    found.map(|(network, what)| (*what, *network))
}

/// The IPv4 address that an IPv6 one stands for: mapped (`::ffff:a.b.c.d`), compatible
/// (`::a.b.c.d`), translated (`64:ff9b::a.b.c.d`), or tunnelled by 6to4 (`2002:aabb:ccdd::`).
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4_of = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match v6.segments() {
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            v4_of(high, low)
        }
        [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => v4_of(high, low),
        [0x2002, high, low, ..] => v4_of(high, low),
        _ => address,
    }
}

fn same_prefix(a: u128, b: u128, host_bits: u8) -> bool {
    let shift = u32::from(host_bits);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests;
