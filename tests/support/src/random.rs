//! Numbers that look random and are the same in every run; not for secrets.

/// An xorshift generator.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        // Spread, so that small seeds do not begin alike, and never 0.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, or 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from((self.draw() >> 16) % end).unwrap_or(0)
    }
}

/// How many rounds to run where `count` are enough for every day: as many times more as the
/// environment variable `SWITCHBOARD_SCALE` says.
pub fn rounds(count: u64) -> u64 {
    let scale = std::env::var("SWITCHBOARD_SCALE").ok().and_then(|scale| scale.parse().ok());
    count.saturating_mul(scale.unwrap_or(1))
}
