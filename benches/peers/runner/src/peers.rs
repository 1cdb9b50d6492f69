//! Which peers there are, and which of them are built.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A peer whose program is there.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
}

/// All peers; the floors come first.
const NAMES: [&str; 11] = [
    "raw",
    "raw-codec",
    "raw-pipelined",
    "switchboard",
    "tarpc",
    "tonic",
    "go-net-rpc",
    "redis",
    "redis-rs",
    "capnp",
    "jsonrpsee",
];

/// What a peer needs beside its program.
const TOOLS: [(&str, &str, &str); 2] =
    [("redis", "redis-server", "--version"), ("redis-rs", "redis-server", "--version")];

/// The peers of these names, or all, that can run here. Says why others are left out.
pub(crate) fn present(names: &[String]) -> Vec<Peer> {
    let folder = std::env::current_exe().ok();
    let folder = folder.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("."));
    let mut present = Vec::new();
    for name in NAMES {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let program = folder.join(format!("peer-{name}"));
        match missing(name, &program) {
            None => present.push(Peer { name, program }),
            Some(why) => eprintln!("{name} is left out: {why}"),
        }
    }
    for wanted in names.iter().filter(|wanted| !NAMES.contains(&wanted.as_str())) {
        eprintln!("{wanted} is left out: there is no such peer");
    }
    present
}

/// What a peer lacks.
fn missing(name: &str, program: &Path) -> Option<String> {
    if name == GO {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../go_net_rpc");
        let built =
            Command::new("go").args(["build", "-o"]).arg(program).current_dir(sources).status();
        return match built {
            Ok(status) if status.success() => None,
            Ok(_) => Some("it does not build".to_owned()),
            Err(error) => Some(format!("there is no go ({error})")),
        };
    }
    if !program.exists() {
        return Some(format!("it is not built (cargo build --release -p peer-{name})"));
    }
    let (_, tool, flag) = TOOLS.into_iter().find(|(peer, ..)| *peer == name)?;
    Command::new(tool).arg(flag).output().err().map(|error| format!("no {tool} ({error})"))
}

const GO: &str = "go-net-rpc";
