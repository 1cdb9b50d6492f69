//! The call of a command that is known by its name alone: JSON goes there, and JSON comes back.
//!
//! It is a typed call whose types are JSON values, so deadlines, limits and metadata are as ever.
//! No command may have the name. The call fails then as one whose request cannot be encoded does:
//! when it is polled, and unsent. In other formats than JSON there is nothing to decode to:
//! that is the call of a request (`service`).

use serde_json::Value;

use super::{Call, Client};
use crate::command::Facts;
use crate::error::{Code, Error};
use crate::format::Json;
use crate::wire::Name;

/// An error about a name that no command can have says this in the place of the command.
const NO_NAME: Name = Name::new("call_json");

impl Client {
    /// Calls a command that this program knows only by its name, with a JSON value, and gets a JSON
    /// value: for consoles, gateways and scripts. If you have the [`Command`](crate::Command), use
    /// [`call`](Self::call).
    ///
    /// Nearly every command takes JSON, whatever its own format is. Other commands, and commands
    /// with items, refuse the call with `unsupported_format`. The peer checks the value: if it does
    /// not fit the request, the error is `bad_payload`, and its text says where it is wrong. This
    /// side does not know the command's own limits, so those of the client hold: a longer call
    /// needs [`timeout`](Call::timeout).
    ///
    /// For a payload in another format, or one that is encoded already, call with a
    /// [`Request`](crate::service::Request), as the second call here does.
    ///
    /// ```
    /// use serde_json::json;
    /// use switchboard::service::{Request, Service};
    /// use switchboard::{Command, Endpoint, Error, format::Line};
    ///
    /// # const ADD: Command<(i32, i32), i32, switchboard::format::Json> = Command::new("ADD");
    /// # const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// # let endpoint = Endpoint::new()
    /// #     .on(ADD, async |(a, b): (i32, i32)| Ok::<_, Error>(a + b))
    /// #     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
    /// # let client = endpoint.client();
    /// let sum = client.call_json("ADD", &json!([1, 2])).await?;
    /// assert_eq!(sum, json!(3));
    ///
    /// let request = Request::new("SHOUT", "hello")?.with_format("line")?;
    /// let reply = Service::call(&client, request).await?;
    /// assert_eq!(reply.payload(), b"HELLO");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The call fails with `unknown_command`, and is not sent, if no command can have this name.
    pub fn call_json(&self, command: &str, request: &Value) -> Call<Value> {
        let name = Name::parse(command.as_bytes());
        let (to, facts) = (name.unwrap_or(NO_NAME), Facts::default());
        let mut exchange = self.exchange::<Value, Json>(to, facts, request, (false, false));
        if name.is_err() {
            let error = Error::found(Code::UnknownCommand, "no command can have this name");
            exchange.unsent_mut().payload = Some(Err(error));
        }
        Call::new::<Json>(exchange)
    }
}
