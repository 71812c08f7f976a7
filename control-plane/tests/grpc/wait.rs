//! Waiting for something to become true: the one place of these tests that knows time.

use std::{fmt::Debug, future::Future, time::Duration};

use tokio::time::{interval, timeout};

/// A wait that lasts this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Looks until `holds` says yes and returns that value.
///
/// # Panics
/// After [`PATIENCE`]; the message names the promise and the last value seen.
pub(crate) async fn eventually<T: Debug>(
    promise: &str,
    mut look: impl AsyncFnMut() -> T,
    holds: impl Fn(&T) -> bool,
) -> T {
    let mut last = None;
    let looking = async {
        let mut looks = interval(BETWEEN_LOOKS);
        loop {
            looks.tick().await;
            let seen = look().await;
            if holds(&seen) {
                return seen;
            }
            last = Some(seen);
        }
    };
    match timeout(PATIENCE, looking).await {
        Ok(seen) => seen,
        Err(_) => panic!("not within {PATIENCE:?}: {promise}\nlast seen: {last:#?}"),
    }
}

/// What a future gives in time.
///
/// # Panics
/// After [`PATIENCE`].
pub(crate) async fn soon<T>(promise: &str, future: impl Future<Output = T>) -> T {
    let given = timeout(PATIENCE, future).await;
    given.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {promise}"))
}
