//! The only place of this folder that reads the clock or draws.
//!
//! Time is tokio's, so that a test may hold it still.

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::Instant;

/// This moment.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Evenly from 0 up to, not including, 1. Without entropy it is 0.5: nothing here is a secret.
pub(crate) fn draw() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
