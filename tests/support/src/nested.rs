//! Types that are as deep as their values, each nested in another way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    pub next: Option<Box<Self>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum List {
    Nil,
    Cons(Box<Self>),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree(pub Vec<Self>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map(pub BTreeMap<u8, Self>);
