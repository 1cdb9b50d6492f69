//! The words of gob, byte for byte, for streams that no encoder would write.

/// The ids of Go's `int` and of an interface.
pub const INT: i64 = 2;
pub const INTERFACE: i64 = 8;

/// These bytes as a message.
#[must_use]
pub fn message(bytes: &[u8]) -> Vec<u8> {
    [uint(bytes.len()), bytes.to_vec()].concat()
}

/// What defines a struct that has no name, as a message has it.
#[must_use]
pub fn structure(id: i64, fields: &[(impl AsRef<str>, i64)]) -> Vec<u8> {
    let mut out = [int(-id), vec![3, 1, 2], int(id), vec![0, 1], uint(fields.len())].concat();
    for (name, id) in fields {
        out.extend(
            [vec![1], message(name.as_ref().as_bytes()), vec![1], int(*id), vec![0]].concat(),
        );
    }
    out.extend([0, 0]);
    out
}

/// What defines a slice that has no name.
#[must_use]
pub fn slice(id: i64, element: i64) -> Vec<u8> {
    [int(-id), vec![2, 1, 2], int(id), vec![0, 1], int(element), vec![0, 0]].concat()
}

/// A signed integer.
#[must_use]
pub fn int(number: i64) -> Vec<u8> {
    let number = if number < 0 { !number * 2 + 1 } else { number * 2 };
    uint(usize::try_from(number).unwrap())
}

/// An unsigned integer.
#[must_use]
pub fn uint(number: usize) -> Vec<u8> {
    if let Some(byte) = u8::try_from(number).ok().filter(|byte| *byte < 128) {
        return vec![byte];
    }
    let bytes = number.to_be_bytes();
    let bytes = &bytes[number.leading_zeros() as usize / 8..];
    [&[u8::try_from(bytes.len()).unwrap().wrapping_neg()], bytes].concat()
}
