//! A network of its own for one program, with a wire that can be cut.
//!
//! Needs root and `ip` (iproute2). A cut wire loses packets without a word, as a broken network
//! does: no connection is refused and none is reset.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

/// A network namespace joined to ours by one pair of interfaces. It goes with the value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// The address of the program inside.
    pub inside: Ipv4Addr,
    /// Our address on the same wire.
    pub outside: Ipv4Addr,
}

impl Namespace {
    /// # Panics
    /// When it cannot be made, with what `ip` said.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a network: not a value to default to"
    )]
    pub fn new() -> Self {
        // One per test process; names and addresses must not meet those of another one.
        let id = std::process::id();
        let name = format!("serin-{id}");
        let [.., high, low] = id.to_be_bytes();
        let (outside, inside) = (
            Ipv4Addr::new(10, 213 ^ (high & 7), low, 1),
            Ipv4Addr::new(10, 213 ^ (high & 7), low, 2),
        );
        let namespace = Self {
            name,
            inside,
            outside,
        };
        let (name, here, there) = (&namespace.name, namespace.wire(), format!("sn{id}"));
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add {here} type veth peer name {there} netns {name}"
        ));
        ip(&format!("addr add {outside}/30 dev {here}"));
        ip(&format!("link set {here} up"));
        ip(&format!("-n {name} addr add {inside}/30 dev {there}"));
        ip(&format!("-n {name} link set {there} up"));
        ip(&format!("-n {name} link set lo up"));
        namespace
    }

    /// The words that start a program inside, before its own.
    pub fn enter(&self) -> [String; 4] {
        ["ip", "netns", "exec", &self.name].map(str::to_owned)
    }

    /// An address inside with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.inside, port))
    }

    /// From now on every packet is lost, in both directions.
    pub fn cut(&self) {
        ip(&format!(
            "-n {} link set sn{} down",
            self.name,
            std::process::id()
        ));
    }

    /// The wire is whole again.
    pub fn mend(&self) {
        ip(&format!(
            "-n {} link set sn{} up",
            self.name,
            std::process::id()
        ));
    }

    fn wire(&self) -> String {
        format!("sh{}", std::process::id())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The pair of interfaces goes with it.
        let deleted = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!("the network namespace {} could not be deleted", self.name);
        }
    }
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output();
    match done {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("ip {arguments}: {error} (install iproute2)"),
    }
}
