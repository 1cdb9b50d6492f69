//! What one stream may ask of the side that reads it.
//!
//! A gob is small on the wire and can be huge in memory: a count announces what never comes, an
//! element of one byte becomes a struct of a thousand fields, a few megabytes nest three million
//! levels deep. Each of that has a bound here, each bound can be set, and each error that comes of
//! one names it, its value and what came.

/// The bounds of a [`Decoder`](crate::Decoder), and of the depth of an [`Encoder`](crate::Encoder).
///
/// ```
/// use switchboard_gob::{Decoder, Limits};
///
/// let mut limits = Limits::default();
/// limits.depth_max = 16;
/// let decoder = Decoder::with_limits(limits);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message, and of all messages of one value together; 16 MiB.
    pub value_bytes_max: usize,
    /// Levels of structs, arrays, slices, maps and interfaces inside each other; 200. A level takes
    /// up to 1 KiB of stack when optimised, 4 KiB when not.
    pub depth_max: usize,
    /// Elements, entries and fields left out that are made for one value; 4 million. One byte can
    /// be an element that has many fields, all left out.
    ///
    /// A receiver that has not said which fields it wants, such as a map or a
    /// [`Value`](crate::Value), is given them with their names, which were sent once for all
    /// elements. A field then costs one unit and one more for each 16 bytes of its name, and a
    /// value of `n` bytes may cost `8 * n + fields_max` units, whatever this limit is.
    pub elements_max: usize,
    /// Types defined on one stream; 1,000.
    pub definitions_max: usize,
    /// Fields of one struct type; 4,096.
    pub fields_max: usize,
    /// Bytes of all definitions on one stream, which are kept as long as it; 1 MiB.
    pub definition_bytes_max: usize,
    /// Bytes of a name: of a field, and of the type in an interface value; 1,024, which is Go's own
    /// limit for the latter.
    pub name_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_bytes_max: 16 << 20,
            depth_max: 200,
            elements_max: 4_000_000,
            definitions_max: 1_000,
            fields_max: 4_096,
            definition_bytes_max: 1 << 20,
            name_bytes_max: 1_024,
        }
    }
}
