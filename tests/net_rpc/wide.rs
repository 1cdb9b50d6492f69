//! Calls whose argument has a type as large as one likes, written byte for byte.

use switchboard::transport;
use switchboard_testing::gob_bytes::{INT, int, message, structure};

use crate::caller::Caller;

/// A call of `Arith.Multiply` with 7 and 8, in a struct of a type of its own, which has so many
/// other fields.
pub(crate) fn call<S: transport::Io>(go: &mut Caller<S>, id: i64, fields: usize) -> Vec<u8> {
    let names = ["A".to_owned(), "B".to_owned()].into_iter();
    let names = names.chain((0..fields).map(|number| format!("FieldNumber{number}")));
    let fields: Vec<_> = names.map(|name| (name, INT)).collect();
    let value = [int(id), vec![1, 14, 1, 16, 0]].concat();
    [header(go), message(&structure(id, &fields)), message(&value)].concat()
}

/// The beginning of a call of `Arith.Multiply`, up to its argument.
pub(crate) fn header<S: transport::Io>(go: &mut Caller<S>) -> Vec<u8> {
    let mut call = go.encode("Arith.Multiply", &1_i64);
    // The argument is an int, in four bytes.
    call.truncate(call.len() - 4);
    call
}
