//! From an address to a store: `etcd://HOST:PORT[,HOST:PORT…]`, `redb:DIR`.
//!
//! Opening waits for no cluster: etcd is connected to when it is first asked. The embedded store is
//! read at once, and says at once when its folder is in use.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use tokio::runtime::Handle;

use crate::Store;

/// Most endpoints of one cluster.
const ENDPOINTS_MAX: usize = 16;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `etcd://`: members of one cluster, as `host:port`.
    Etcd(Vec<String>),
    /// `redb:`: the folder of the embedded store.
    Redb(PathBuf),
}

/// Who we are to etcd, and how we know it. Empty: plain text, no user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdSettings {
    /// The authority that signed the members' certificates; with it the connection is TLS.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, whose CN is our user, and its key: both or neither, and only with
    /// `ca_file`.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Our user, if it is not the certificate's.
    pub username: Option<String>,
    /// Read again for each connection, the line end behind it left out.
    pub password_file: Option<PathBuf>,
}

/// A text that is no address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error("{0:?} is no store: write etcd://HOST:PORT[,HOST:PORT…] or redb:DIR")]
    Unknown(String),
    #[error("{0:?} is no endpoint: write HOST:PORT, and [ADDRESS]:PORT for IPv6")]
    Endpoint(String),
    #[error("{0} endpoints, at most {ENDPOINTS_MAX}")]
    Many(usize),
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This binary was built without it.
    #[error("this serin was built without {0}")]
    NotBuilt(&'static str),
    #[error("server.etcd: {0}")]
    Settings(&'static str),
    #[cfg(feature = "redb")]
    #[error(transparent)]
    Redb(#[from] crate::redb::OpenError),
}

/// Opens the store at an address. What it needs to run, it runs on `runtime`.
///
/// # Errors
/// [`OpenError`]; never because a cluster cannot be reached.
pub fn open(
    address: &Address,
    etcd: &EtcdSettings,
    runtime: &Handle,
) -> Result<Arc<dyn Store>, OpenError> {
    match address {
        Address::Etcd(endpoints) => open_etcd(endpoints, etcd, runtime),
        Address::Redb(folder) => open_redb(folder),
    }
}

#[cfg(feature = "etcd")]
fn open_etcd(
    endpoints: &[String],
    settings: &EtcdSettings,
    runtime: &Handle,
) -> Result<Arc<dyn Store>, OpenError> {
    settings.check()?;
    let endpoints = endpoints.to_vec();
    Ok(crate::EtcdStore::open(endpoints, settings.clone(), runtime))
}

#[cfg(not(feature = "etcd"))]
fn open_etcd(_: &[String], _: &EtcdSettings, _: &Handle) -> Result<Arc<dyn Store>, OpenError> {
    Err(OpenError::NotBuilt("etcd"))
}

#[cfg(feature = "redb")]
fn open_redb(folder: &std::path::Path) -> Result<Arc<dyn Store>, OpenError> {
    Ok(crate::RedbStore::open(folder)?)
}

#[cfg(not(feature = "redb"))]
fn open_redb(_: &std::path::Path) -> Result<Arc<dyn Store>, OpenError> {
    Err(OpenError::NotBuilt("redb"))
}

impl EtcdSettings {
    /// Refuses what would connect otherwise than it looks.
    #[cfg_attr(
        not(feature = "etcd"),
        expect(dead_code, reason = "only etcd has settings")
    )]
    fn check(&self) -> Result<(), OpenError> {
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(OpenError::Settings("certFile and keyFile belong together"));
        }
        if self.cert_file.is_some() && self.ca_file.is_none() {
            return Err(OpenError::Settings(
                "certFile needs caFile: without it the connection would not be TLS",
            ));
        }
        if self.password_file.is_some() != self.username.is_some() {
            let text = "username and passwordFile belong together";
            return Err(OpenError::Settings(text));
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(folder) = text.strip_prefix("redb:")
            && !folder.is_empty()
        {
            return Ok(Self::Redb(folder.into()));
        }
        let endpoints = text
            .strip_prefix("etcd://")
            .ok_or_else(|| BadAddress::Unknown(text.to_owned()))?;
        let endpoints: Vec<String> = endpoints.split(',').map(str::to_owned).collect();
        if endpoints.len() > ENDPOINTS_MAX {
            return Err(BadAddress::Many(endpoints.len()));
        }
        match endpoints.iter().find(|endpoint| !is_endpoint(endpoint)) {
            Some(bad) => Err(BadAddress::Endpoint(bad.clone())),
            None => Ok(Self::Etcd(endpoints)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd(endpoints) => write!(f, "etcd://{}", endpoints.join(",")),
            Self::Redb(folder) => write!(f, "redb:{}", folder.display()),
        }
    }
}

/// A host and a port that is not zero; colons in the host only within brackets.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let in_brackets = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let named = !host.is_empty() && host.bytes().all(legal);
    (named || in_brackets) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_were_written() {
        for text in [
            "etcd://127.0.0.1:2379",
            "etcd://a.example:2379,b-2.example:2379,[::1]:2379",
            "redb:serin-data",
            "redb:/var/lib/serin",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "etcd:",
            "etcd://",
            "etcd://a",
            "etcd://a:0",
            "etcd://a:70000",
            "etcd://a:1,",
            "etcd://a:1/b",
            "etcd://u@a:1",
            "etcd://::1:2379",
            "http://a:1",
            "redb:",
            "file:a",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        let many = vec!["a:1"; ENDPOINTS_MAX + 1].join(",");
        let many = format!("etcd://{many}").parse::<Address>();
        assert_eq!(many, Err(BadAddress::Many(ENDPOINTS_MAX + 1)));
    }
}
