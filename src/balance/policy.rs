//! What a program may set of how back ends are chosen.

/// What a program may set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) is_round_robin: bool,
    pub(super) back_ends_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        // Connections to so many are enough to spread the load of one client.
        Self { is_round_robin: false, back_ends_max: 32 }
    }
}
