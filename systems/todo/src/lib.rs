//! A to-do service: HTTP routes, a command port, and a store behind both.
//!
//! ```text
//!   HTTP    ─► routes ─┐
//!                      ├─► commands (an endpoint) ─► Store ─► SQLite, or memory
//!   port    ───────────┘
//! ```
//!
//! The endpoint is the service. `routes` are plain HTTP in front of its in-process client, and who
//! has the command port, or posts to `/call/`, calls the same handlers. `service` opens the doors
//! and closes them in order. The program itself, `main`, only reads the environment.

mod commands;
mod memory;
mod reply;
mod routes;
mod service;
mod sqlite;
mod store;
mod todo;

pub use self::commands::{
    CREATE_TODO, DELETE_TODO, DRAIN_TIME_MAX, GET_TODO, LIST_TODOS, UPDATE_TODO, endpoint,
};
pub use self::memory::MemoryStore;
pub use self::routes::{BODY_BYTES_MAX, router};
pub use self::service::{End, Service};
pub use self::sqlite::SqliteStore;
pub use self::store::{PAGE_TITLES_BYTES_MAX, PAGE_TODOS_MAX, Store, StoreError};
pub use self::todo::{Change, NewTodo, Page, Todo, TodoChange, TodoId, TodosAfter};
