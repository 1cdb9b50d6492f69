//! Paths that lead elsewhere while a socket is bound, and paths that are long.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use switchboard::transport::{self, Address, Listener, UnixListener};
use switchboard::{Client, Connection};

use super::unix::{Directory, block_on, identity_of, is_child, run_as_child, this_program};

/// Everybody may write to the directory with the link, so somebody switches it between a directory
/// where nobody listens and one where another does.
#[tokio::test]
async fn the_socket_of_another_is_never_damaged() {
    let directory = Directory::new();
    let [ours, others, link] = ["ours", "others", "link"].map(|name| directory.0.join(name));
    fs::create_dir(&ours).unwrap();
    fs::create_dir(&others).unwrap();
    symlink(&ours, &link).unwrap();
    let path = others.join("socket");
    let _other = StdUnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let before = identity_of(&path);

    let end = Arc::new(AtomicBool::new(false));
    let switching = std::thread::spawn({
        let (end, link, places) = (end.clone(), link.clone(), [ours.clone(), others.clone()]);
        move || {
            for place in places.iter().cycle() {
                let next = link.with_file_name("next");
                symlink(place, &next).unwrap();
                fs::rename(&next, &link).unwrap();
                if end.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    });
    let (mut bound, mut refused) = (0, 0);
    while bound < ROUNDS || refused < ROUNDS {
        match UnixListener::bind(link.join("socket")).await {
            Ok(listener) => {
                assert_eq!(listener.path(), ours.join("socket"));
                drop(listener);
                bound += 1;
            }
            Err(error) => {
                assert!(error.text().starts_with("another process is listening at "), "{error}");
                refused += 1;
            }
        }
        assert_eq!(identity_of(&path), before, "after {bound} bound and {refused} refused");
        assert!(!ours.join("socket").exists(), "after {bound} bound and {refused} refused");
    }
    end.store(true, Ordering::Relaxed);
    switching.join().unwrap();
}

#[tokio::test]
async fn the_directory_may_be_renamed_while_it_is_listened_in() {
    let directory = Directory::new();
    let [before, after] = ["before", "after"].map(|name| directory.0.join(name));
    fs::create_dir(&before).unwrap();
    let listener = UnixListener::bind(before.join("socket")).await.unwrap();
    fs::rename(&before, &after).unwrap();
    // Somebody else's, in the place of ours.
    fs::create_dir(&before).unwrap();
    let _other = StdUnixListener::bind(before.join("socket")).unwrap();
    drop(listener);
    assert!(before.join("socket").exists());
    assert!(!after.join("socket").exists());
}

/// Where a process is belongs to the whole process, so this runs in one of its own.
#[test]
fn what_is_listened_at_can_be_dialled_however_long_its_path_is() {
    if is_child() {
        return block_on(check_that_it_can_be_dialled());
    }
    let directory = Directory::new();
    let deep = directory.0.join(["deep/"; 100].concat());
    fs::create_dir_all(&deep).unwrap();
    let mut child = Command::new(this_program());
    child.current_dir(&deep);
    run_as_child(&mut child, "links::what_is_listened_at_can_be_dialled_however_long_its_path_is");
}

async fn check_that_it_can_be_dialled() {
    for name in ["socket".to_owned(), "s".repeat(82)] {
        check_dialled(&format!("unix:{name}")).await;
        let whole = std::env::current_dir().unwrap().join(&name);
        check_dialled(&format!("unix:{}", whole.display())).await;
        // What a dead process has left there is replaced, as on a short path.
        drop(StdUnixListener::bind(&name).unwrap());
        check_dialled(&format!("unix:{}", whole.display())).await;
    }
}

async fn check_dialled(address: &str) {
    let mut listener = transport::bind(address).await.unwrap();
    let local = listener.local_address().unwrap();
    let Address::Unix(path) = &local else { panic!("{local}") };
    assert!(path.as_os_str().len() > 500, "{local}");
    for address in [local.to_string(), address.to_owned()] {
        let client = Client::connect(&address).await.unwrap();
        listener.accept().await.unwrap();
        let connection = Connection::connect(&address).await.unwrap();
        listener.accept().await.unwrap();
        drop((client, connection));
    }
    check_in_use(path).await;
    drop(listener);
    assert!(!path.exists());
    let error = Connection::connect(&local).await.unwrap_err();
    assert_eq!(error.text(), format!("nobody answers at {local}"));
}

async fn check_in_use(path: &Path) {
    let error = UnixListener::bind(path).await.unwrap_err();
    let path = PathBuf::from(path);
    assert_eq!(error.text(), format!("another process is listening at unix:{}", path.display()));
}

const ROUNDS: u32 = 1000;
