//! Which target and arm is a request charged to?
//!
//!   value ─ hash with the canary's salt ─ bucket 0..10 000 < share? ── yes ─▶ the canary
//!                                                │ no
//!                                                └─ weighted rendezvous ─▶ one of the others
//!
//! Always: decided from documents and the caller's value alone, blind to health. Raising the
//! canary's share moves nobody out of it, lowering it moves nobody in. Changing one weight moves
//! only callers to or from that target. No counter, no lock: every router decides alike.
//! Not here: where the value comes from (`affinity.rs`), what follows a failure (`plan.rs`).

use serin_proto::metric::Arm;
use serin_proto::unit::Share;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::affinity::{Affinity, SEPARATOR};

/// One bucket is a hundredth of a percent.
const BUCKETS: u64 = 10_000;

/// What is hashed for one request is put together here unless it is longer.
const STACK_BYTES: usize = 256;

/// A request's target, as an index into the route's targets, and the arm it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub target: usize,
    pub arm: Arm,
}

/// A route's traffic, ready to assign requests.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    canary: Option<Canary>,
    others: Box<[Other]>,
    /// Not the canary's: the others must draw evenly from what is left of each bucket.
    salt: Box<[u8]>,
}

#[derive(Clone, Debug)]
struct Canary {
    target: usize,
    share: Share,
    salt: Box<[u8]>,
}

#[derive(Clone, Debug)]
struct Other {
    target: usize,
    weight: f64,
    seed: u64,
}

impl Split {
    /// `targets` with their weights, in the route's order; `canary` is the index of one of them
    /// and the salt of its rollout. Without a rollout the salt is made of route and target, so it
    /// is the same in every router and after every restart.
    pub(crate) fn new(
        route: &str,
        targets: &[(&str, Share)],
        canary: Option<(usize, Option<&str>)>,
    ) -> Self {
        let canary = canary.and_then(|(index, salt)| {
            let (name, share) = targets.get(index)?;
            let made = || join(&[route.as_bytes(), name.as_bytes()]);
            Some(Canary {
                target: index,
                share: *share,
                salt: salt.map_or_else(made, |salt| salt.as_bytes().into()),
            })
        });
        let taken = canary.as_ref().map(|canary| canary.target);
        Self {
            others: others(targets, taken),
            canary,
            salt: join(&[route.as_bytes(), b"weights"]),
        }
    }

    /// The canary, as an index into the route's targets, and its share.
    pub(crate) fn canary(&self) -> Option<(usize, Share)> {
        self.canary
            .as_ref()
            .map(|canary| (canary.target, canary.share))
    }

    /// Decides for one request. `draw` is used only where there is no affinity value.
    /// `in_contact`: the canary may be exposed; false makes its share 0.
    pub(crate) fn assign(&self, affinity: &Affinity<'_>, draw: u64, in_contact: bool) -> Assigned {
        if let Some(canary) = self
            .canary
            .as_ref()
            .filter(|_| in_contact || self.others.is_empty())
            && (bucket(&canary.salt, affinity, draw) < u64::from(canary.share.hundredths())
                || self.others.is_empty())
        {
            return Assigned {
                target: canary.target,
                arm: Arm::Canary,
            };
        }
        let value = hash(&self.salt, affinity, draw).to_le_bytes();
        let distance =
            |other: &Other| -unit(xxh3_64_with_seed(&value, other.seed)).ln() / other.weight;
        let mut nearest = (f64::INFINITY, 0);
        for other in &self.others {
            let distance = distance(other);
            if distance < nearest.0 {
                nearest = (distance, other.target);
            }
        }
        Assigned {
            target: nearest.1,
            arm: Arm::Stable,
        }
    }
}

/// The targets that share what the canary leaves. If none of them has a weight (the canary has
/// all of it) they count alike, for the time the canary may not be exposed.
fn others(targets: &[(&str, Share)], canary: Option<usize>) -> Box<[Other]> {
    let all = targets
        .iter()
        .enumerate()
        .filter(|(index, _)| Some(*index) != canary);
    let have_weight = all.clone().any(|(_, (_, share))| share.hundredths() > 0);
    all.map(|(target, (name, share))| {
        let weight = if have_weight {
            f64::from(share.hundredths())
        } else {
            1.0
        };
        Other {
            target,
            weight,
            seed: xxh3_64(name.as_bytes()),
        }
    })
    .filter(|other| other.weight > 0.0)
    .collect()
}

fn bucket(salt: &[u8], affinity: &Affinity<'_>, draw: u64) -> u64 {
    hash(salt, affinity, draw) % BUCKETS
}

/// `xxh3_64(salt ‖ 0x1f ‖ kind ‖ 0x1f ‖ value)`; a draw stands in for a value of no kind.
fn hash(salt: &[u8], affinity: &Affinity<'_>, draw: u64) -> u64 {
    let drawn = draw.to_le_bytes();
    let (kind, value) = match affinity {
        Affinity::Sticky { kind, value } => (kind.as_bytes(), value.as_ref()),
        Affinity::Drawn => (&[][..], &drawn[..]),
    };
    let parts = [salt, kind, value];
    let mut bytes = [0; STACK_BYTES];
    match join_into(&mut bytes, &parts) {
        Some(joined) => xxh3_64(joined),
        None => xxh3_64(&join(&parts)),
    }
}

fn join(parts: &[&[u8]]) -> Box<[u8]> {
    parts.join(&SEPARATOR).into()
}

/// The same without an allocation; `None` if `bytes` is too short.
fn join_into<'a>(bytes: &'a mut [u8], parts: &[&[u8]]) -> Option<&'a [u8]> {
    let mut len = 0;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            *bytes.get_mut(len)? = SEPARATOR;
            len += 1;
        }
        bytes.get_mut(len..len + part.len())?.copy_from_slice(part);
        len += part.len();
    }
    bytes.get(..len)
}

/// A hash as a number strictly between 0 and 1, so that its logarithm is finite.
fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
