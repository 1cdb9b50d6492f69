//! What both services say to each other and to their callers: commands, their types, and why a
//! reservation is refused.
//!
//! Nothing in here knows who answers. A caller chooses the id of an order, and that is the whole
//! theory of calling again: the same order is the same reservation, however often it is asked for.

use serde::{Deserialize, Serialize};
use switchboard::{Code, Command, Error};

/// Tells how many pieces of an item are in stock.
pub const CHECK_STOCK: Command<String, u64> =
    Command::new("CHECK_STOCK").about("Tells how many pieces of an item are in stock.").read_only();

/// The same by the name that callers in lines of JSON know: `{"Method":"CheckStock",..}`.
pub const CHECK_STOCK_IN_LINES: Command<String, u64> = Command::new("CheckStock")
    .about("CHECK_STOCK, by the name that callers in lines of JSON know.")
    .read_only();

/// Takes pieces from the stock for an order.
pub const RESERVE: Command<Reservation, Reserved> = Command::new("RESERVE")
    .about("Reserves pieces for an order; the same order again gets the same answer.")
    .idempotent();

/// Counts the pieces on the shelf one by one, which is slow.
pub const RECOUNT: Command<(), u64> = Command::new("RECOUNT")
    .about("Counts all pieces one by one, and stops at its limit.")
    .read_only();

/// The same on a thread that blocks.
pub const RECOUNT_BLOCKING: Command<(), u64> = Command::new("RECOUNT_BLOCKING")
    .about("RECOUNT on a thread that blocks, and looks up after each piece.")
    .read_only();

/// Places an order, which the order service reserves at the inventory.
pub const PLACE_ORDER: Command<Reservation, Placed> = Command::new("PLACE_ORDER")
    .about("Places an order; the same order again gets the same answer.")
    .idempotent();

/// Bytes of the id of an order, and of the name of an item.
pub const ID_BYTES_MAX: usize = 64;

/// Pieces of one reservation.
pub const COUNT_MAX: u64 = 1_000_000;

/// What is to be reserved, and for which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reservation {
    /// The id of the order, chosen by the caller.
    pub order: String,
    /// Of what.
    pub item: String,
    /// How many pieces.
    pub count: u64,
}

/// A reservation as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reserved {
    /// The id of the order.
    pub order: String,
    /// Of what.
    pub item: String,
    /// How many pieces.
    pub count: u64,
    /// Pieces that were left when it was made.
    pub left: u64,
}

/// An order as it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Placed {
    /// The id of the order.
    pub order: String,
    /// Of what.
    pub item: String,
    /// How many pieces.
    pub count: u64,
    /// Pieces that were left when it was placed.
    pub left: u64,
}

/// Why a reservation was refused: the details of `conflict`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refused {
    /// There is less than was asked for.
    TooLittle {
        /// Of what.
        item: String,
        /// How many pieces were asked for.
        wanted: u64,
        /// How many there are.
        left: u64,
    },
    /// The order is there, with something else in it.
    OtherContent {
        /// The id of the order.
        order: String,
        /// What it has.
        item: String,
        /// How many pieces of it.
        count: u64,
    },
}

impl Reservation {
    /// So many pieces of this item for this order.
    pub fn new(order: impl Into<String>, item: impl Into<String>, count: u64) -> Self {
        Self { order: order.into(), item: item.into(), count }
    }

    /// Whether this can be asked for at all.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_id("the id of an order", &self.order)?;
        check_id("the name of an item", &self.item)?;
        if !(1..=COUNT_MAX).contains(&self.count) {
            let text = format!("an order has 1 to {COUNT_MAX} pieces, not {}", self.count);
            return Err(Error::new(Code::Invalid, text));
        }
        Ok(())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let text = match &refused {
            Refused::TooLittle { item, wanted, left } => {
                format!("{wanted} of {item} were asked for, and {left} are left")
            }
            Refused::OtherContent { order, item, count } => {
                format!("the order {order} is there already, with {count} of {item}")
            }
        };
        Self::new(Code::Conflict, text).with_details(refused)
    }
}

/// There is no such item.
pub(crate) fn unknown(item: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no item {item:?}"))
}

pub(crate) fn check_id(what: &str, id: &str) -> Result<(), Error> {
    let bytes = id.len();
    let text = if id.trim().is_empty() {
        format!("{what} is blank")
    } else if bytes > ID_BYTES_MAX {
        format!("{what} has at most {ID_BYTES_MAX} bytes, not {bytes}")
    } else if id.chars().any(char::is_control) {
        format!("{what} has no control characters, as {id:?} does")
    } else {
        return Ok(());
    };
    Err(Error::new(Code::Invalid, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(order: &str, item: &str, count: u64, expected: &str) {
        let checked = Reservation::new(order, item, count).check();
        let text = checked.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(text, expected);
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused_with_limit_and_value() {
        let (fits, too_long) = ("x".repeat(64), "\u{e9}".repeat(33));
        check("o1", "item1", 1, "");
        check(&fits, &fits, 1_000_000, "");
        check("o1", "item1", 0, "invalid: an order has 1 to 1000000 pieces, not 0");
        check("o1", "item1", 1_000_001, "invalid: an order has 1 to 1000000 pieces, not 1000001");
        let all = "invalid: an order has 1 to 1000000 pieces, not 18446744073709551615";
        check("o1", "item1", u64::MAX, all);
        check("", "item1", 1, "invalid: the id of an order is blank");
        check(" \t", "item1", 1, "invalid: the id of an order is blank");
        check("o1", "\u{2003}", 1, "invalid: the name of an item is blank");
        check(&too_long, "item1", 1, "invalid: the id of an order has at most 64 bytes, not 66");
        check("o1", &too_long, 1, "invalid: the name of an item has at most 64 bytes, not 66");
        let control = r#"invalid: the id of an order has no control characters, as "a\nb" does"#;
        check("a\nb", "item1", 1, control);
    }

    #[test]
    fn all_commands_can_be_sent() {
        switchboard::check_all([
            CHECK_STOCK.check(),
            CHECK_STOCK_IN_LINES.check(),
            RESERVE.check(),
            RECOUNT.check(),
            RECOUNT_BLOCKING.check(),
            PLACE_ORDER.check(),
        ])
        .unwrap();
    }
}
