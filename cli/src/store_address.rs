//! Where `--store` leads: a cluster's store, or a file that is followed.

use std::{path::PathBuf, str::FromStr};

use serin_store::{Address, EtcdSettings, OpenError, Store};

use crate::exit::Failed;

/// What may be written after `--store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreAddress {
    /// `etcd://HOST:PORT[,HOST:PORT…]`
    Cluster(Address),
    /// `file:PATH`
    File(PathBuf),
}

impl FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(path.into()));
        }
        if text.starts_with("etcd:") {
            return text
                .parse()
                .map(Self::Cluster)
                .map_err(|bad: serin_store::BadAddress| bad.to_string());
        }
        Err(
            "write etcd://HOST:PORT[,HOST:PORT…], or file:PATH for a router alone (the embedded \
             store belongs to serin up)"
                .to_owned(),
        )
    }
}

/// Opens a store; etcd need not be reachable for that.
///
/// # Errors
/// The store's own words, and the way out where this binary lacks it.
pub(crate) fn open(
    address: &Address,
    etcd: &EtcdSettings,
    runtime: &tokio::runtime::Handle,
) -> Result<std::sync::Arc<dyn Store>, Failed> {
    serin_store::open(address, etcd, runtime).map_err(|error| {
        Failed::because(match error {
            OpenError::NotBuilt(what) => format!(
                "this serin was built without {what}: build it with the feature `{what}` (cargo \
                 build --features {what}; it is on by default)"
            ),
            other => other.to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "etcd"))]
    #[test]
    fn without_etcd_it_is_said_how_to_get_it() {
        let background = crate::runtime::Background::start().unwrap();
        let address = Address::Etcd(vec!["a:2379".to_owned()]);
        let said = open(&address, &EtcdSettings::default(), background.handle()).unwrap_err();
        assert!(said.to_string().contains("--features etcd"), "{said}");
    }

    #[test]
    fn a_store_is_a_cluster_or_a_file() {
        let file: StoreAddress = "file:a.yaml".parse().unwrap();
        assert_eq!(file, StoreAddress::File("a.yaml".into()));
        let cluster: StoreAddress = "etcd://a:2379,b:2379".parse().unwrap();
        assert!(
            matches!(cluster, StoreAddress::Cluster(Address::Etcd(members)) if members.len() == 2)
        );
        for (bad, word) in [
            ("", "file:PATH"),
            ("file:", "file:PATH"),
            ("redb:dir", "serin up"),
            ("etcd://a", "HOST:PORT"),
            ("http://a:1", "file:PATH"),
        ] {
            let said = bad.parse::<StoreAddress>().unwrap_err();
            assert!(said.contains(word), "{bad}: {said}");
        }
    }
}
