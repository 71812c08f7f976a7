//! Free loopback ports.
//!
//! A port from below the range the kernel gives to outgoing connections, so that none of the
//! thousands of connections a story makes can take it between the choice and the listening.
//! Each process begins at another place, so stories may run beside each other.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// An address on loopback at which nobody listens now.
///
/// # Panics
/// When none of the range is free.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = std::process::id().wrapping_mul(211) % u32::from(COUNT);
    let offset = u16::try_from(offset).expect("a remainder of COUNT fits");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (offset + step) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port from {FIRST} on");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_given_twice_and_a_taken_one_is_left_out() {
        let first = free_address();
        let listening = TcpListener::bind(first).expect("the address was free");
        let others: Vec<_> = (0..50).map(|_| free_address()).collect();
        assert!(!others.contains(&first), "{listening:?}");
    }
}
