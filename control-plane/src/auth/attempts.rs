//! How many wrong tokens an address may try. Pure.
//!
//! Each address has some in hand and gets one more per second. A secret of 256 bits is not guessed
//! anyway; a word that somebody chose for one in the settings might be. Only wrong tokens are tries,
//! and only they must wait: a right one works, whoever else tries wrong ones from its address.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Wrong tokens in a row before an address must wait.
const TRIES_MAX: u32 = 20;
/// After which a try is given back.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Addresses that are remembered. With more, those that failed longest ago are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// Failures by address.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// When an address will have all its tries again; absent: it has them.
    whole_at: HashMap<IpAddr, Instant>,
}

impl Attempts {
    /// How long the address must wait before a wrong token is heard; `None`: it may try.
    pub(crate) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let whole_at = self.whole_at.get(&group(address))?;
        let missing = whole_at.saturating_duration_since(now);
        let over = (missing + TRY_EVERY).checked_sub(TRY_EVERY * TRIES_MAX)?;
        (!over.is_zero()).then_some(over)
    }

    /// A wrong token came from there.
    pub(crate) fn failed(&mut self, address: IpAddr, now: Instant) {
        if self.whole_at.len() >= ADDRESSES_MAX {
            self.forget(now);
        }
        let whole_at = self.whole_at.entry(group(address)).or_insert(now);
        *whole_at = (*whole_at).max(now) + TRY_EVERY;
    }

    fn forget(&mut self, now: Instant) {
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        if self.whole_at.len() < ADDRESSES_MAX {
            return;
        }
        let mut times: Vec<Instant> = self.whole_at.values().copied().collect();
        let (_, middle, _) = times.select_nth_unstable(ADDRESSES_MAX / 2);
        let middle = *middle;
        self.whole_at.retain(|_, whole_at| *whole_at > middle);
    }
}

/// Whoever has one address of an IPv6 network has all of its /64.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_out_of_tries_waits_until_one_is_given_back() {
        let (mut attempts, now) = (Attempts::default(), clock::now());
        for _ in 0..TRIES_MAX {
            assert_eq!(attempts.wait(ip("192.0.2.1"), now), None);
            attempts.failed(ip("192.0.2.1"), now);
        }
        assert_eq!(attempts.wait(ip("192.0.2.1"), now), Some(TRY_EVERY));
        assert_eq!(attempts.wait(ip("192.0.2.2"), now), None, "others may try");
        assert_eq!(attempts.wait(ip("192.0.2.1"), now + TRY_EVERY), None);
        attempts.failed(ip("192.0.2.1"), now + TRY_EVERY);
        assert!(attempts.wait(ip("192.0.2.1"), now + TRY_EVERY).is_some());
        let later = now + TRY_EVERY * (TRIES_MAX + 1);
        assert_eq!(attempts.wait(ip("192.0.2.1"), later), None);
    }

    #[test]
    fn one_network_is_one_address_however_it_is_written() {
        let (mut attempts, now) = (Attempts::default(), clock::now());
        for tries in 0..TRIES_MAX {
            attempts.failed(ip(&format!("2001:db8::{tries}")), now);
            attempts.failed(ip("::ffff:192.0.2.1"), now);
        }
        assert!(attempts.wait(ip("2001:db8::ffff"), now).is_some());
        assert_eq!(attempts.wait(ip("2001:db8:0:1::1"), now), None);
        assert!(attempts.wait(ip("192.0.2.1"), now).is_some());
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_the_newest_stay() {
        let (mut attempts, now) = (Attempts::default(), clock::now());
        let address = |i: u32| IpAddr::V4(i.into());
        for i in 0..30_000 {
            attempts.failed(address(i), now + Duration::from_millis(u64::from(i) / 100));
        }
        assert!(attempts.whole_at.len() <= ADDRESSES_MAX);
        assert!(attempts.whole_at.contains_key(&address(29_999)));
    }
}
