//! The marker of commands whose request or reply comes in items, and the kinds of commands that
//! are told apart by it.

use std::convert::Infallible;
use std::marker::PhantomData;

/// Stands in place of a command's request or reply that comes in items, with the rest as one value.
///
/// The rest is the value that a request begins with (such as the name of a file, before its
/// content), or that a reply ends with (such as the number of items). No value of this type is ever
/// made.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Streamed};
///
/// /// One request; a reply of many lines.
/// const TAIL: Command<u32, Streamed<String>> = Command::new("TAIL");
/// /// A name and then many pieces; the reply is how many bytes there were.
/// const STORE: Command<Streamed<Vec<u8>, String>, u64> = Command::new("STORE");
/// /// Both at once.
/// const CHAT: Command<Streamed<String, String>, Streamed<String>> = Command::new("CHAT");
/// # }
/// ```
#[derive(Debug)]
pub struct Streamed<Item, Rest = ()> {
    _types: PhantomData<fn() -> (Item, Rest)>,
    _never: Infallible,
}

/// One value each way.
#[derive(Debug)]
#[non_exhaustive]
pub struct OneEachWay;

/// A reply of items.
#[derive(Debug)]
#[non_exhaustive]
pub struct ItemsDown;

/// A request of items.
#[derive(Debug)]
#[non_exhaustive]
pub struct ItemsUp;

/// Items both ways.
#[derive(Debug)]
#[non_exhaustive]
pub struct ItemsBothWays;
