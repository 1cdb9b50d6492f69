//! One connection to the inventory, which is made anew when it is lost.
//!
//! A call is made again until its deadline if the inventory is busy or not there, and waits for as
//! long as the inventory has asked (`retry=`). Only calls that may be made twice come here: those
//! that only read, and `RESERVE`, whose order makes it one. This knows no command.

use std::time::Duration;

use switchboard::{Call, Client, Code, Error, Result};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

/// A connection that is there when it is wanted.
#[derive(Debug)]
pub struct Kept {
    address: String,
    client: Mutex<Option<Client>>,
}

impl Kept {
    /// A connection to this address, which is not made yet.
    pub fn to(address: impl Into<String>) -> Self {
        Self { address: address.into(), client: Mutex::new(None) }
    }

    /// Makes a call, and makes it again for as long as that may help. Says with the reply how often
    /// it was made again.
    ///
    /// # Errors
    ///
    /// What the inventory answered; or, a little before the deadline, that it is not there or too
    /// busy, with the time after which it is worth another try.
    pub async fn call<Rep>(
        &self,
        deadline: Instant,
        ask: impl Fn(&Client) -> Call<Rep>,
    ) -> Result<(Rep, u32)> {
        // The rest is for the way back of an answer that says so.
        let now = Instant::now();
        let time = deadline.saturating_duration_since(now).saturating_sub(ANSWER_TIME);
        let deadline = now.checked_add(time).unwrap_or(deadline);
        let (mut repeats, mut pause) = (0_u32, PAUSE_MIN);
        loop {
            let error = match self.call_once(deadline, &ask).await {
                Ok(reply) => return Ok((reply, repeats)),
                Err(error) if !error.is_transient() => return Err(error.pass_on()),
                Err(error) => error,
            };
            let wait = pause.max(error.retry_after().unwrap_or_default());
            if deadline.saturating_duration_since(Instant::now()) <= wait {
                return Err(not_now(&error));
            }
            tracing::debug!(%error, ?wait, "calling the inventory again");
            sleep(wait).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
            repeats = repeats.saturating_add(1);
        }
    }

    async fn call_once<Rep>(
        &self,
        deadline: Instant,
        ask: &impl Fn(&Client) -> Call<Rep>,
    ) -> Result<Rep> {
        let client = timeout_at(deadline, self.client()).await.map_err(|_| no_connection())??;
        ask(&client).timeout_at(deadline).await
    }

    /// One dials, and the others wait for it.
    async fn client(&self) -> Result<Client> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = Client::connect(self.address.as_str()).await?;
        *kept = Some(client.clone());
        Ok(client)
    }
}

fn no_connection() -> Error {
    Error::new(Code::DeadlineExceeded, "no connection in time")
}

/// What a caller is told who may come again later.
fn not_now(error: &Error) -> Error {
    let (code, text) = match error.code() {
        Code::Overloaded => (Code::Overloaded, "the inventory is too busy".to_owned()),
        code => (Code::Failed, format!("the inventory does not answer ({code})")),
    };
    let text = format!("{text}; place the same order again");
    Error::new(code, text).with_retry_after(error.retry_after().unwrap_or(AGAIN).max(AGAIN))
}

/// Time for an answer to reach the caller of this side before its deadline.
const ANSWER_TIME: Duration = Duration::from_millis(100);

const PAUSE_MIN: Duration = Duration::from_millis(10);

const PAUSE_MAX: Duration = Duration::from_millis(320);

/// When it is worth placing an order again.
const AGAIN: Duration = Duration::from_millis(500);
