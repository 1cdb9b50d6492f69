//! The node that a gateway tells of: its identity, its cluster and its state.

use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The identity of a node, told by `GET /`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Member {
    /// Its name.
    pub id: String,
    /// Its address; `None` if it has not said one.
    pub address: Option<String>,
}

/// The nodes that belong together, told by `GET /`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cluster {
    /// The id of the member that leads; `None` if none does at the moment.
    pub leader: Option<String>,
    /// All members, this node included.
    pub members: Vec<Member>,
}

impl Member {
    /// A member with this id, at this address.
    #[must_use]
    pub fn new(id: impl Into<String>, address: Option<String>) -> Self {
        Self { id: id.into(), address }
    }
}

impl Cluster {
    /// These members, with this leader.
    #[must_use]
    pub fn new(leader: Option<String>, members: Vec<Member>) -> Self {
        Self { leader, members }
    }
}

/// The node itself.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) member: Member,
    pub(crate) version: String,
    pub(crate) began: Instant,
}

/// `GET /` for programs.
#[derive(Serialize)]
pub(crate) struct Overview<'n> {
    node: Told<'n>,
    cluster: Cluster,
    health: &'static str,
}

#[derive(Serialize)]
struct Told<'n> {
    #[serde(flatten)]
    member: &'n Member,
    version: &'n str,
    /// In seconds.
    uptime: u64,
}

/// The body of `POST /query`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query<'q> {
    pub(crate) query: String,
    // `null` is a value as well.
    #[serde(default, borrow, deserialize_with = "some")]
    pub(crate) params: Option<&'q RawValue>,
}

/// Its answer.
#[derive(Serialize)]
pub(crate) struct QueryAnswer<'a> {
    pub(crate) answer: &'a RawValue,
    pub(crate) node: &'a str,
}

impl Node {
    pub(crate) fn overview(&self, cluster: Option<Cluster>, health: &'static str) -> Overview<'_> {
        // A node alone is a cluster of one, which it leads.
        let alone = || Cluster::new(Some(self.member.id.clone()), vec![self.member.clone()]);
        let uptime = self.began.elapsed().as_secs();
        let node = Told { member: &self.member, version: &self.version, uptime };
        Overview { node, cluster: cluster.unwrap_or_else(alone), health }
    }
}

impl Overview<'_> {
    /// The same for people.
    pub(crate) fn page(&self) -> String {
        let Self { node, cluster, health } = self;
        let (id, address) = (escaped(&node.member.id), address(node.member));
        let members: String = cluster
            .members
            .iter()
            .map(|member| {
                let is_leader = cluster.leader.as_deref() == Some(member.id.as_str());
                let leads = if is_leader { ", leads" } else { "" };
                format!("<li>{} at {}{leads}</li>\n", escaped(&member.id), self::address(member))
            })
            .collect();
        let (version, uptime) = (escaped(node.version), node.uptime);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{id}</title>\n\
             <h1>{id}</h1>\n<p>{health}, at {address}, version {version}, up for {uptime} s</p>\n\
             <ul>\n{members}</ul>\n</html>\n"
        )
    }
}

fn address(member: &Member) -> String {
    member.address.as_deref().map_or_else(|| "an address not told".to_owned(), escaped)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn some<'de: 'q, 'q, D: Deserializer<'de>>(from: D) -> Result<Option<&'q RawValue>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}
