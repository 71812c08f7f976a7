//! A provider's `baseUrl`, taken apart once for both who judges it and who connects to it.
//!
//! Two parsers that read one URL differently are how internal addresses get reached, so this one
//! takes little: http or https, a host, a port, a plain path. An address must be written the usual
//! way: `127.1`, `0x7f000001` and the like are refused rather than interpreted.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub https: bool,
    pub host: Host,
    /// 1..=65535; 80 or 443 if the URL names none.
    pub port: u16,
    /// Begins with `/` and does not end with one, or is empty.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Lower case, without a dot at the end.
    Name(String),
    Address(IpAddr),
}

/// Why a text is no base URL. Each message is a whole sentence with the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("begins with neither http:// nor https://")]
    Scheme,
    #[error("has no host")]
    NoHost,
    #[error("names a user or a password: use credential: {{env: …}} or {{file: …}}")]
    UserInfo,
    #[error("has a query: baseUrl ends with its path")]
    Query,
    #[error("has a fragment: baseUrl ends with its path")]
    Fragment,
    #[error("has a port outside 1 to 65535")]
    Port,
    #[error("has a path with characters that must be percent-encoded, or with . or .. in it")]
    Path,
    #[error("has a host with characters that no host name has; write IDN names in punycode")]
    HostName,
    #[error("has an address that is not one")]
    NotAnAddress,
    /// The address it means, spelled another way.
    #[error("spells the address {0} in an unusual way: write {0}")]
    Spelling(IpAddr),
    #[error("has a zone in its address: link-local addresses are never allowed for a provider")]
    Zone,
}

impl BaseUrl {
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let (https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(BadUrl::Scheme),
        };
        if rest.contains('#') {
            return Err(BadUrl::Fragment);
        }
        if rest.contains('?') {
            return Err(BadUrl::Query);
        }
        let authority_len = rest.find(['/', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_len);
        if authority.contains('@') {
            return Err(BadUrl::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let host = parse_host(host)?;
        let port = match port {
            Some(digits) => parse_port(digits)?,
            None if https => 443,
            None => 80,
        };
        Ok(Self {
            https,
            host,
            port,
            path: parse_path(path)?,
        })
    }
}

/// The URL in its one canonical spelling, the port always written.
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// As it stands in a URL or a `Host` header: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), BadUrl> {
    if !authority.starts_with('[') {
        return Ok(match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        });
    }
    let end = authority.find(']').ok_or(BadUrl::NotAnAddress)? + 1;
    match authority.split_at(end) {
        (host, "") => Ok((host, None)),
        (host, after) => Ok((
            host,
            Some(after.strip_prefix(':').ok_or(BadUrl::NotAnAddress)?),
        )),
    }
}

fn parse_port(digits: &str) -> Result<u16, BadUrl> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(port) if all_digits && port != 0 => Ok(port),
        _ => Err(BadUrl::Port),
    }
}

fn parse_path(path: &str) -> Result<String, BadUrl> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&b);
    let climbs = path.split('/').any(|piece| {
        let plain = piece.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    });
    if climbs || !path.bytes().all(legal) {
        return Err(BadUrl::Path);
    }
    Ok(path.trim_end_matches('/').to_owned())
}

fn parse_host(text: &str) -> Result<Host, BadUrl> {
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        if inner.contains('%') {
            return Err(BadUrl::Zone);
        }
        let v6: Ipv6Addr = inner.parse().map_err(|_| BadUrl::NotAnAddress)?;
        return Ok(Host::Address(v6.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.is_empty() {
        return Err(BadUrl::NoHost);
    }
    let label_is_legal = |label: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(legal)
    };
    if name.len() > 253 || !name.split('.').all(label_is_legal) {
        return Err(BadUrl::HostName);
    }
    if !ends_in_a_number(&name) {
        return Ok(Host::Name(name));
    }
    let v4 = loose_v4(&name).ok_or(BadUrl::NotAnAddress)?;
    if v4.to_string() == text {
        Ok(Host::Address(v4.into()))
    } else {
        Err(BadUrl::Spelling(v4.into()))
    }
}

/// Whether resolvers and browsers take such a host for an IPv4 address: its last label is a number.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    last.bytes().all(|b| b.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex)
}

/// An IPv4 address as the old C libraries read it: one to four parts, each decimal, octal or hex;
/// the last part fills what is left.
fn loose_v4(name: &str) -> Option<Ipv4Addr> {
    let parts = name
        .split('.')
        .map(parse_number)
        .collect::<Option<Vec<u32>>>()?;
    let (last, leading) = parts.split_last()?;
    let leading_count = u32::try_from(leading.len())
        .ok()
        .filter(|count| *count <= 3)?;
    let mut bits: u32 = 0;
    for part in leading {
        bits = bits << 8 | u32::from(u8::try_from(*part).ok()?);
    }
    let room = 32 - 8 * leading_count;
    if room < 32 && *last >> room != 0 {
        return None;
    }
    Some(Ipv4Addr::from_bits(
        bits.checked_shl(room).unwrap_or(0) | last,
    ))
}

fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    match digits {
        "" if radix == 16 => Some(0),
        // `from_str_radix` would take a sign.
        _ if digits.starts_with('+') => None,
        _ => u32::from_str_radix(digits, radix).ok(),
    }
}

#[cfg(test)]
mod tests;
