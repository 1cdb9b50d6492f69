//! The cases of `clients/conformance.json`, whose form `clients/README.md` tells.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::Result;

const CASES: &str = include_str!("../../clients/conformance.json");

#[derive(Clone, Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// All calls are under way before the first one is waited for.
    #[serde(default)]
    pub(crate) together: bool,
    pub(crate) calls: Vec<Call>,
    /// What the server does in place of an endpoint, if there is anything.
    #[serde(default)]
    pub(crate) script: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Call {
    pub(crate) call: Option<String>,
    pub(crate) stream: Option<String>,
    #[serde(default)]
    pub(crate) payload: Value,
    pub(crate) timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) repeat: Option<usize>,
    pub(crate) take: Option<usize>,
    pub(crate) items: Option<Value>,
    #[serde(default)]
    pub(crate) ok: Value,
    #[serde(default)]
    pub(crate) err: BTreeMap<String, Value>,
}

pub(crate) fn cases() -> Result<Vec<Case>> {
    Ok(serde_json::from_str::<File>(CASES)?.cases)
}

impl Call {
    /// Whichever of the two names it has.
    pub(crate) fn name(&self) -> &str {
        self.call.as_deref().or(self.stream.as_deref()).unwrap_or_default()
    }

    /// This call, so many times as it is to be made, and written out.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = Self> {
        (1..=self.repeat.unwrap_or(1)).map(|number| Self {
            payload: expanded(&self.payload, number),
            items: self.items.as_ref().map(|items| expanded(items, number)),
            ok: expanded(&self.ok, number),
            ..self.clone()
        })
    }
}

/// Writes out what a case has in short.
fn expanded(value: &Value, number: usize) -> Value {
    let parts = |short: &Value| Some((short.get(0)?.as_str()?.to_owned(), short.get(1)?.as_u64()?));
    match value {
        Value::String(text) if text == "$n" => number.into(),
        Value::Array(values) => values.iter().map(|value| expanded(value, number)).collect(),
        Value::Object(members) => {
            if let Some((text, count)) = members.get("$text").and_then(parts) {
                return text.repeat(usize::try_from(count).unwrap_or_default()).into();
            }
            if let Some(count) = members.get("$count").and_then(Value::as_u64) {
                return (1..=count).collect::<Vec<_>>().into();
            }
            let members = members.iter();
            members.map(|(key, value)| (key.clone(), expanded(value, number))).collect()
        }
        other => other.clone(),
    }
}
