//! The handlers of an endpoint as a set: listed, and taken out.
//!
//! These methods of [`Endpoint`] stand here for want of room beside the type. Those that register a
//! handler stand there, since the compiler names a method by the file of its block, and it is they
//! that it names in its messages to users. The map itself, and its lock, are the registry's.

use super::Endpoint;
use crate::handler::CommandInfo;

impl Endpoint {
    /// Removes the handler of this name; whether there was one. Calls that are running keep it.
    #[allow(clippy::must_use_candidate, reason = "removing is what it is for")]
    pub fn remove(&self, name: &str) -> bool {
        self.router.registry().remove(name.as_bytes())
    }

    /// The commands that are answered now, by name: what `?` tells a peer, and the
    /// [facts](crate::Facts) of each.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// # use switchboard::{Command, Endpoint, Error, format::Json};
    /// const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD").about("Adds two numbers.");
    ///
    /// let endpoint = Endpoint::new().on(ADD, async |(a, b)| Ok::<_, Error>(a + b));
    /// for command in endpoint.commands() {
    ///     println!("{command}: {}", command.facts.about().unwrap_or_default());
    /// }
    /// # assert_eq!(endpoint.commands().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn commands(&self) -> Vec<CommandInfo> {
        self.router.registry().commands()
    }
}
