//! A test in a process of its own: an overflow of the stack ends the whole process.

use std::process::Command;
use std::thread;

/// Runs `body` in a child process, where the test of this name is the only one, on a thread with
/// each of these stacks in turn; `body` is told how many bytes it has.
pub fn in_child(test: &str, stacks: &[usize], body: impl Fn(usize) + Copy + Send + 'static) {
    const MARK: &str = "SWITCHBOARD_TEST_CHILD";
    if std::env::var_os(MARK).is_some() {
        for stack_bytes in stacks.iter().copied() {
            let thread = thread::Builder::new().stack_size(stack_bytes);
            thread.spawn(move || body(stack_bytes)).unwrap().join().unwrap();
        }
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", test, "--nocapture"]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "it did not run");
}
