//! Calls with a deadline, repeated where that is harmless.
//!
//! A read may always be sent again. A write may be sent again only after a failure that certainly
//! did nothing; any other ends as unknown. What is refused for good is not repeated at all.

use std::{future::Future, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    clock,
    connection::{Connection, Connector},
    trouble::{Kind, Trouble},
};

/// The longest pause before a call is repeated.
const REPEAT_PAUSE_MAX: Duration = Duration::from_millis(100);

/// A refused token is renewed at most so often for one call.
const TOKENS_MAX: u32 = 2;

/// The answer of one call within its deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Trouble> {
    match timeout(deadline, call).await {
        Ok(answer) => answer.map_err(Trouble::from),
        Err(_) => Err(Trouble::new(
            Kind::Silent,
            format!("no answer within {deadline:?}"),
        )),
    }
}

/// Asks until there is an answer or a refusal, or the time for repeating is over.
pub(super) async fn read<T, F>(
    connector: &Connector,
    ask: impl Fn(Connection) -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    repeat(connector, Trouble::is_of_connection, ask).await
}

/// Asks again only while it is certain that nothing was done.
pub(super) async fn write<T, F>(
    connector: &Connector,
    ask: impl Fn(Connection) -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    repeat(connector, Trouble::is_harmless, ask).await
}

async fn repeat<T, F>(
    connector: &Connector,
    may_repeat: impl Fn(&Trouble) -> bool,
    ask: impl Fn(Connection) -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let end = clock::now() + connector.timing.call;
    let mut tokens = 0;
    let mut attempts = 0;
    loop {
        // No endpoint can be reached: said at once, all of them were tried.
        let connection = connector.connection().await?;
        let trouble = match ask(connection.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(trouble) => trouble,
        };
        if trouble.is_of_connection() {
            connector.discard(&connection).await;
        }
        attempts += 1;
        tokens += u32::from(trouble.kind == Kind::Token);
        // A frozen member may take all of the time: another one is asked all the same.
        let time_left = clock::now() < end || attempts < 2;
        if !may_repeat(&trouble) || !time_left || tokens >= TOKENS_MAX {
            return Err(trouble);
        }
        sleep(REPEAT_PAUSE_MAX.mul_f64(clock::draw())).await;
    }
}
