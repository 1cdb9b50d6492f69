//! The commands of a switchboard endpoint over HTTP and JSON.
