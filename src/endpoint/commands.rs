//! The handlers of an endpoint as a set: listed, taken out, and given to another endpoint as well.
//!
//! These methods of [`Endpoint`] stand here for want of room beside the type. The methods that
//! register a handler stand beside the type: the compiler names the file of a method's block in its
//! messages to users. The map itself, and its lock, are the registry's.

use std::sync::Arc;

use super::Endpoint;
use crate::error::{Code, Error, Result};
use crate::handler::CommandInfo;
use crate::wire::Name;

impl Endpoint {
    /// Removes the handler of this name. Answers whether there was one. Calls that are running keep
    /// it.
    #[allow(clippy::must_use_candidate, reason = "removing is what it is for")]
    pub fn remove(&self, name: &str) -> bool {
        self.router.registry().remove(name.as_bytes())
    }

    /// The commands that are answered now, by name, as `?` tells them to a peer, with the
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

    /// The command of this name, if one is answered now. Nothing is copied for it.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<Arc<CommandInfo>> {
        self.router.registry().command(name)
    }

    /// Also answers here the commands that `other` answers now: raw handlers, facts and layers
    /// included. So the parts of a program have endpoints of their own, and one endpoint serves
    /// them all.
    ///
    /// Nothing else of `other` is taken: no limits, no keepalive, no counts against limits. Later
    /// changes of `other` change nothing here.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Endpoint, Error};
    /// const ADD: Command<String, u32> = Command::new("ADD");
    /// const COUNT: Command<(), u32> = Command::new("COUNT");
    ///
    /// let jobs = Endpoint::new().on(ADD, async |_: String| Ok::<_, Error>(7));
    /// let endpoint = Endpoint::new().on(COUNT, async |()| Ok::<_, Error>(0)).merge(jobs);
    /// let names: Vec<_> = endpoint.commands().into_iter().map(|command| command.name).collect();
    /// assert_eq!(names, ["ADD", "COUNT"]);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If a handler is registered under one of the names already: that is a mistake in the program.
    /// No command of `other` is answered then.
    #[track_caller]
    pub fn merge(self, other: Self) -> Self {
        self.nest("", other)
    }

    /// As [`merge`](Self::merge), with `prefix` in front of each name. A caller puts it in front
    /// too, by [`Command::under`](crate::Command::under).
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Endpoint, Error, Result};
    /// # async fn example() -> Result<()> {
    /// const ADD: Command<String, u32> = Command::new("ADD");
    ///
    /// let jobs = Endpoint::new().on(ADD, async |_: String| Ok::<_, Error>(7));
    /// let endpoint = Endpoint::new().nest("jobs.", jobs);
    ///
    /// const JOBS_ADD: Command<String, u32> = ADD.under("jobs.");
    /// assert_eq!(endpoint.client().call(JOBS_ADD, &"press".to_owned()).await?, 7);
    /// # Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// #     .block_on(example()).unwrap();
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As `merge`, and if a name with `prefix` breaks the rules of
    /// [`Command::new`](crate::Command::new).
    #[track_caller]
    pub fn nest(self, prefix: &str, other: Self) -> Self {
        let Self { router, .. } = other;
        let nested = router.entries().map(|(name, entry)| Ok((nested(prefix, name)?, entry)));
        let nested: Result<Vec<_>> = nested.collect();
        let result = nested.and_then(|nested| self.router.registry().insert_all(nested));
        self.expect_registered(result)
    }
}

/// The name of a command behind a prefix.
fn nested(prefix: &str, name: Name) -> Result<Name> {
    let why = match name.behind(prefix) {
        Ok(name) if !name.is_reserved() => return Ok(name),
        Ok(_) => "names that begin with `?` belong to the endpoint".to_owned(),
        Err(flaw) => flaw.to_string(),
    };
    let text = format!("{name} cannot be nested under {prefix:?}: {why}");
    Err(Error::local(Code::Failed, text))
}
