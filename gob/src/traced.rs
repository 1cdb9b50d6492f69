//! The schemas of Rust types, each found once in a process.
//!
//! This is where what a type is asked (`trace`) becomes what both sides share (`schema`), and the
//! only thing that the crate remembers beyond a stream.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;

use crate::error::Result;
use crate::schema::Schema;
use crate::trace::{Sample, sample, trace};

impl Schema {
    /// What is found by asking `T`'s `Deserialize` with sample values: the schema with which
    /// [`Encoder::encode`](crate::Encoder::encode) writes a `T`. It is found once in a process.
    ///
    /// Nobody needs it to write a `T`. It tells whether a type has a form before there is a value,
    /// such as in a test.
    ///
    /// # Errors
    ///
    /// `Unsupported` if `T` has no form in gob, or none that can be found out this way.
    ///
    /// ```
    /// use switchboard_gob::{ErrorKind, Schema, Type};
    ///
    /// assert_eq!(Schema::of::<Box<i64>>()?.root(), Type::INT);
    /// let error = Schema::of::<(i64, String)>().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unsupported);
    /// assert!(error.text().ends_with("is a tuple of more than one type: use a struct"));
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn of<'de, T: Deserialize<'de>>() -> Result<Self> {
        traced(sample::<T>)
    }
}

/// The schema of the type that `sample` runs, traced at the first call for it in this process.
fn traced(sample: Sample) -> Result<Schema> {
    // Types need not be `'static`, so `TypeId` cannot tell them apart. Functions whose machine code
    // is the same may have one address: then they ask for the same and name the same type, and so
    // the schema is the same. One function may have two addresses: then it is traced twice.
    let key = sample as *const () as usize;
    let cached = SCHEMAS.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(copy);
    cached.unwrap_or_else(|| {
        // Without the lock: the type's own code may ask for schemas.
        let schema =
            trace(sample).and_then(|(definitions, root)| Schema::new(definitions, root, &[]));
        let mut schemas = SCHEMAS.write().unwrap_or_else(PoisonError::into_inner);
        copy(schemas.entry(key).or_insert(schema))
    })
}

static SCHEMAS: RwLock<BTreeMap<usize, Result<Schema>>> = RwLock::new(BTreeMap::new());

fn copy(schema: &Result<Schema>) -> Result<Schema> {
    match schema {
        Ok(schema) => Ok(schema.clone()),
        Err(error) => Err(error.copy()),
    }
}
