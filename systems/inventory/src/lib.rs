//! An inventory service, and an order service that calls it.
//!
//! ```text
//!   commands ─┐                        ┌─► cache ─miss─► store: one thread reads
//!   HTTP     ─┼─► inventory: an endpoint┤
//!   JSON     ─┘                        └─► store: one thread writes, then the cache is told
//!
//!   commands ───► orders: an endpoint ───► a client that connects anew ───► the inventory
//! ```
//!
//! Both services are programs of their own, and share only `commands`. A reservation has an id that
//! its caller chose, so whoever got no answer asks again, and nothing is reserved twice. That is
//! what lets a client call again, and both programs be killed at any time.
//!
//! `program` reads the environment and waits for signals; the programs in `bin` only begin it.

mod cache;
mod changes;
mod commands;
mod doors;
mod inventory;
mod orders;
mod page;
pub mod program;
mod recount;
mod store;

pub use self::cache::{Counted, LoadError, Shelf, StockCache};
pub use self::changes::Changes;
pub use self::commands::{
    CHECK_STOCK, CHECK_STOCK_IN_LINES, COUNT_MAX, ID_BYTES_MAX, PLACE_ORDER, Placed, RECOUNT,
    RECOUNT_BLOCKING, RESERVE, Refused, Reservation, Reserved,
};
pub use self::doors::{Doors, End};
pub use self::inventory::{FIRST_STOCK, Inventory, Settings};
pub use self::orders::{inventory_at, orders};
pub use self::page::Page;
pub use self::recount::Recount;
pub use self::store::{SqliteStore, StoreError};
