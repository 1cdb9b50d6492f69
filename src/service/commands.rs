//! What a door has to know of the commands behind it.

use super::Service;
use crate::command::Facts;
use crate::wire::Name;

/// A service that knows the commands it answers.
pub(crate) trait Commands: Service {
    /// What the command of this name has in place of limits.
    fn facts_of(&self, name: &Name) -> Option<Facts>;

    /// A call was refused before it came here.
    fn turn_away(&self);
}
