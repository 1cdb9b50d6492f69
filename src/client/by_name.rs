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
    /// Calls a command that this program knows by its name alone, with a JSON value and for one:
    /// for consoles, gateways and scripts. With the [`Command`](crate::Command) at hand, use
    /// [`call`](Self::call).
    ///
    /// Nearly every command takes JSON, whatever its own format is; another refuses the call with
    /// `unsupported_format`. The peer checks the value: one that is not the request of the command
    /// is refused with `bad_payload`, and the text says where it is wrong. What the command has in
    /// place of limits is not known here, so the limits of the client hold: a longer call needs
    /// [`timeout`](Call::timeout). A command with items is refused with `unsupported_format` too.
    ///
    /// A payload in any other format, or in bytes that are there already, is the call of a
    /// [`Request`](crate::service::Request): the second one here.
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
        let mut sent = self.send::<Value, Json>(to, facts, request, (false, false));
        if name.is_err() {
            let error = Error::found(Code::UnknownCommand, "no command can have this name");
            sent.unsent_mut().payload = Some(Err(error));
        }
        Call::new::<Json>(sent)
    }
}
