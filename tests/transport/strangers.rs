//! Another user of the machine, who tries to get into a Unix socket while it is being opened.
//!
//! Three processes, all of them this program: the test; an owner, which has a umask of its own and
//! binds one path again and again; and a stranger, another user who connects to it all the while.
//! The owner and the stranger talk over a socket of their own, the door, which is open to both.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{getegid, geteuid};
use switchboard::transport;

use super::unix::{Directory, block_on, run_as_child, this_program};

#[test]
fn only_the_owner_gets_in_whatever_the_umask() {
    if let Some(door) = std::env::var_os(DOOR) {
        return try_to_get_in(Path::new(&door));
    }
    if let Ok(group) = std::env::var(GROUP) {
        return bind_with_a_stranger_around(group.parse().unwrap());
    }
    if !geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "only root can try as another user");
        return eprintln!("SKIPPED: only root can try as another user");
    }
    // (umask, the group of the stranger)
    for (umask, group) in [("000", NOBODY), ("002", getegid().as_raw())] {
        // The umask belongs to the whole process, so it is changed in one of its own.
        let mut owner = Command::new("sh");
        owner.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(this_program());
        owner.env(GROUP, group.to_string());
        run_as_child(&mut owner, TEST);
    }
}

fn bind_with_a_stranger_around(group: u32) {
    let directory = Directory::new();
    let door = directory.0.join("door");
    let listener = UnixListener::bind(&door).unwrap();
    fs::set_permissions(&door, fs::Permissions::from_mode(0o666)).unwrap();
    // A copy: the program may be where a stranger cannot go.
    let program = directory.0.join("program");
    fs::copy(this_program(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut stranger = Command::new(program);
    stranger.args(["--exact", TEST]).env(DOOR, &door).uid(NOBODY).gid(group);
    let mut stranger = stranger.spawn().unwrap();

    let (mut talk, _) = listener.accept().unwrap();
    block_on(async {
        for _ in 0..ROUNDS {
            drop(transport::UnixListener::bind(directory.file()).await.unwrap());
        }
    });
    talk.shutdown(Shutdown::Write).unwrap();
    let mut report = [0; 16];
    talk.read_exact(&mut report).unwrap();
    let [got_in, denied] =
        [&report[..8], &report[8..]].map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    assert!(stranger.wait().unwrap().success());
    assert!(denied > 0, "the stranger was never there in time");
    assert_eq!(got_in, 0, "of {ROUNDS} times; denied {denied} times");
}

fn try_to_get_in(door: &Path) {
    let mut talk = UnixStream::connect(door).unwrap();
    talk.set_nonblocking(true).unwrap();
    let path = door.with_file_name("socket");
    let (mut got_in, mut denied) = (0_u64, 0_u64);
    while talk.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        match UnixStream::connect(&path) {
            Ok(_) => got_in = got_in.saturating_add(1),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                denied = denied.saturating_add(1);
            }
            Err(_) => {}
        }
    }
    talk.set_nonblocking(false).unwrap();
    talk.write_all(&got_in.to_le_bytes()).unwrap();
    talk.write_all(&denied.to_le_bytes()).unwrap();
}

const TEST: &str = "strangers::only_the_owner_gets_in_whatever_the_umask";
/// What tells a process that it is the owner, and which group the stranger has.
const GROUP: &str = "SWITCHBOARD_STRANGER_GROUP";
/// What tells a process that it is the stranger, and where it finds the owner.
const DOOR: &str = "SWITCHBOARD_STRANGER_DOOR";
/// The user, and the group, that own nothing.
const NOBODY: u32 = 65_534;
const ROUNDS: u32 = 2000;
