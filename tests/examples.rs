//! The examples as a newcomer runs them: child processes, real sockets, netcat.
//!
//! What the README shows is read from the README and compared with what really comes out, so it
//! cannot go stale.

#![cfg(all(unix, feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what tests share is a test too"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

const README: &str = include_str!("../README.md");

#[test]
fn every_small_example_runs_to_its_end() {
    for (name, expected) in SMALL {
        let missing = [
            ("net_rpc", "gob", cfg!(feature = "gob")),
            ("echo", "udp", cfg!(feature = "udp")),
            ("blocking_client", "blocking", cfg!(feature = "blocking")),
            ("tap", "codec", cfg!(feature = "codec")),
            ("layers", "tower", cfg!(feature = "tower")),
            ("metrics", "metrics", cfg!(feature = "metrics")),
        ];
        if let Some((_, feature, false)) = missing.into_iter().find(|(of, ..)| *of == name) {
            eprintln!("skipped: the example {name} needs the feature {feature}");
            continue;
        }
        check_example(name, expected);
    }
}

#[test]
fn every_small_example_is_run_and_named_in_the_readme() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.map(|file| file.into_string().unwrap());
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.strip_suffix(".rs")?.into())).collect();
    names.sort();
    assert_eq!(names, SMALL.map(|(name, _)| name.to_owned()));
    for name in names {
        assert!(README.contains(&name), "{name}");
    }
}

#[test]
fn hello_prints_what_the_readme_says() {
    let (_, after) = README.split_once("The first command prints").unwrap();
    let (line, address) = block(after, "text").split_once("127.0.0.1:").unwrap();
    let (port, rest) = address.split_once('\n').unwrap();
    assert!(port.parse::<u16>().is_ok(), "{port}");
    let printed = String::from_utf8(run("hello", &[]).stdout).unwrap();
    let (own_line, own_address) = printed.split_once("127.0.0.1:").unwrap();
    let (_, own_rest) = own_address.split_once('\n').unwrap();
    assert_eq!((own_line, own_rest), (line, rest));
}

#[test]
fn the_pair_talks_over_tcp() {
    check_pair("127.0.0.1:0", "-connect");
}

#[test]
fn the_pair_talks_over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("switchboard-pair-{}", std::process::id()));
    check_pair(&format!("unix:{}", path.display()), "--connect");
    assert!(!path.exists(), "the socket is removed at the end");
}

#[test]
fn a_client_says_that_nobody_listens() {
    // Bound and not listening: surely refused, and nobody else can get the port.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    check_failure(&["-connect", &address], &format!("nobody answers at {address}"));
    check_failure(&["--connect", "unix:/no/such/file"], "nobody answers at unix:/no/such/file");
}

#[test]
fn a_server_says_that_its_address_is_taken() {
    let server = Server::start("127.0.0.1:0");
    let address = &server.address;
    check_failure(&["-listen", address], &format!("another process is listening at {address}"));
    check_failure(&["--listen", "nonsense:port"], "the port \"port\" is not a number");
}

#[test]
fn netcat_gets_exactly_these_bytes() {
    let server = Server::start("127.0.0.1:0");
    check_bytes(&server, "STRING\nAdditional data.\n", "Thank you.\n");
    check_bytes(&server, "STRING\r\nAdditional data.\r\n", "Thank you.\n");
    check_bytes(&server, "STRING\none\nSTRING\ntwo\n", "Thank you.\nThank you.\n");
    check_bytes(&server, "CHECK_STOCK json\n\"item1\"\n", "100\n");
    check_bytes(&server, "CHECK_STOCK json\n\"item2\"\nSTRING\nmore\n", "50\nThank you.\n");
    check_bytes(&server, "CHECK_STOCK\n6\n\x05item1", "1\n\x64");
    let refused = "<0 err 25 failed ran=1\nthere is no \"\\u{1b}[31m\"\n";
    check_bytes(&server, "CHECK_STOCK json\n\"\\u001b[31m\"\n", refused);
    let unknown = "<0 err 39 unknown_command\nthere is no command NOPE; ? lists them\n";
    check_bytes(&server, "NOPE\nSTRING\nnot run\n", unknown);
    let data = "{\"N\":1,\"S\":\"\",\"M\":{\"b\":2,\"a\":1},\"P\":[97],\"C\":null}\n";
    let sorted = data.replace("\"b\":2,\"a\":1", "\"a\":1,\"b\":2");
    check_bytes(&server, &format!("STRUCT json\n{data}"), &sorted);
    check_bytes(&server, "", "");
    drop(server);
}

#[test]
fn what_the_readme_types_into_netcat_is_answered_as_it_says() {
    let server = Server::start("127.0.0.1:0");
    let transcript = block(README, "console");
    let calls: Vec<_> = transcript.split_terminator("$ ").skip(1).collect();
    assert!(calls.len() >= 4, "the README has netcat transcripts");
    let has_netcat = has_netcat();
    for call in calls {
        let (line, expected) = call.split_once('\n').unwrap();
        let typed = line.strip_prefix("printf '").unwrap();
        let (typed, _) = typed.split_once("' | nc -N localhost 61000").unwrap();
        let heard = server.send(&typed.replace("\\n", "\n"));
        assert_eq!(without_gob(&heard).trim_end(), expected.trim_end(), "{line}");
        if has_netcat {
            let line = line.replace("localhost 61000", &server.address.replace(':', " "));
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), heard, "{line}");
        }
    }
}

#[cfg(feature = "gob")]
#[test]
fn the_article_s_client_in_go_is_served() {
    let Some(article) = switchboard_testing::go_program!("article") else { return };
    let mut server = Server::start("127.0.0.1:0");
    let (host, port) = server.address.split_once(':').unwrap();
    let output = Command::new(article).args(["-connect", host, "-port", port]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "STRING: \"Thank you.\\n\"\n");
    assert!(output.status.success());
    // GOB is not answered, so the server may be behind its client.
    let heard = [(); 3].map(|()| server.read_line()).concat();
    assert_eq!(
        heard,
        "STRING: \"Additional data.\"\n\
         GOB: outer struct: n = 23, s = \"string data\", \
         m = {\"one\": 1, \"three\": 3, \"two\": 2}, p = \"abc\"\n  \
         inner struct: n = 256, s = \"Recursive structs? Piece of cake!\", \
         m = {\"01\": 1, \"10\": 2, \"11\": 3}, p = \"\"\n"
    );
    server.signal("TERM");
    server.end();
}

#[cfg(feature = "gob")]
#[test]
fn the_article_s_server_in_go_serves_our_client() {
    let Some(article) = switchboard_testing::go_program!("article") else { return };
    let mut command = Command::new(article);
    command.args(["-port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Server::of(command.spawn().unwrap());
    let line = server.read_line();
    let (_, port) = line.trim_end().rsplit_once(':').expect(&line);
    let output = run("networking", &["-connect", &format!("127.0.0.1:{port}")]);
    // Of what comes next the article knows nothing.
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, format!("STRING: \"Thank you.\"\n{GOB_SENT}"));
    let heard = [(); 3].map(|()| server.read_line()).concat();
    assert_eq!(
        heard,
        "STRING: \"Additional data.\"\n\
         GOB: outer struct: N=23 S=\"string data\" \
         M=map[string]int{\"one\":1, \"three\":3, \"two\":2} P=\"abc\"\n\
         GOB: inner struct: N=256 S=\"Recursive structs? Piece of cake!\" \
         M=map[string]int{\"01\":1, \"10\":2, \"11\":3} P=\"\"\n"
    );
}

#[cfg(feature = "udp")]
#[test]
fn the_echo_pairs_talk_whatever_others_send() {
    for (protocol, logged) in [("tcp", "Received: "), ("udp", "Received from 127.0.0.1:")] {
        let [server, client] = ["server", "client"].map(|side| format!("{protocol}-{side}"));
        let mut command = Command::new(example("echo"));
        command.args([&server, "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = Server::of(command.spawn().unwrap());
        let line = server.read_line();
        server.address = line.strip_prefix("Listening at ").expect(&line).trim_end().to_owned();
        // None of these is answered, and none ends the server.
        if protocol == "tcp" {
            assert_eq!(server.send(""), "");
            assert_eq!(server.send("half a line"), "");
        } else {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(&[b'x'; 1025], &server.address).unwrap();
            socket.send_to(b"Echo: you", &server.address).unwrap();
        }
        for message in ["hi", "", "\u{1b}[31m"] {
            let mut command = Command::new(example("echo"));
            command.args([&client, &server.address]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            writeln!(child.stdin.take().unwrap(), "{message}").unwrap();
            let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            let shown = format!("Echo: {message}").replace('\u{1b}', "?");
            let expected = format!("Enter a message: Received from server: {}\n", shown.trim_end());
            assert_eq!(printed, expected, "{protocol}");
            let heard = server.read_line();
            let shown = message.replace('\u{1b}', "?");
            let is_logged = heard.starts_with(logged) && heard.ends_with(&format!(" {shown}\n"));
            assert!(is_logged, "{heard}");
        }
        server.signal("INT");
        assert_eq!(server.end(), "");
    }
}

#[test]
fn signals_let_calls_under_way_finish() {
    check_drained("TERM");
    check_drained("INT");
}

fn check_example(name: &str, expected: &str) {
    let output = run(name, &[]);
    let heard = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{name}: {}", output.status);
    assert!(heard.contains(expected), "{name} printed:\n{heard}");
}

fn check_pair(address: &str, flag: &str) {
    let server = Server::start(address);
    let output = run("networking", &[flag, &server.address]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{address}");
    assert!(output.status.success(), "{address}");
    let (_, pair) = README.split_once("The client prints:").unwrap();
    let expected = block(pair, "text");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.contains(GOB_SENT), cfg!(feature = "gob"), "{address}");
    assert_eq!(printed.replace(GOB_SENT, ""), expected, "{address}");

    let (struct_sent, _) = expected.split_once("CHECK_STOCK").unwrap();
    let (_, struct_sent) = struct_sent.split_once("STRUCT").unwrap();
    server.signal("TERM");
    let heard = server.end();
    assert!(heard.contains("STRING: \"Additional data.\"\n"), "{heard}");
    let structs_sent = if cfg!(feature = "gob") { 2 } else { 1 };
    assert_eq!(heard.matches(struct_sent).count(), structs_sent, "{heard}");
    assert!(heard.contains("WAIT: stopped, nobody waits for it any more\n"), "{heard}");
    assert!(heard.contains("stopped: 2 connections served, 0 turned away; "), "{heard}");
}

/// The README has the default features: what `gob` adds to the list of commands is taken out.
fn without_gob(list: &str) -> String {
    list.replace("bincode,json,gob ", "bincode,json ").replace("GOB raw\n", "")
}

fn check_failure(flags: &[&str], expected: &str) {
    let output = run("networking", flags);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{flags:?}: {message}");
    assert!(message.contains(expected), "{flags:?}: {message}");
    assert_eq!(message.lines().count(), 1, "{flags:?}: {message}");
}

fn check_bytes(server: &Server, sent: &str, expected: &str) {
    assert_eq!(server.send(sent), expected, "{sent:?}");
}

/// A call is under way when the signal comes, and gets its answer.
fn check_drained(signal: &str) {
    let mut server = Server::start("127.0.0.1:0");
    let mut stream = server.connect();
    stream.write_all(b"WAIT 5 3 f=json\n500").unwrap();
    let begun = server.read_line();
    assert!(begun.starts_with("WAIT: 500 ms"), "{begun}");

    server.signal(signal);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("<5 ok 4\nnull"), "SIG{signal}: {answer}");
    // A server waits a little for the other side to end as well.
    drop(stream);
    let heard = server.end();
    let expected = "stopping: calls under way may finish\n\
                    stopped: 1 connections served, 0 turned away; \
                    1 tagged calls answered, 0 cut off; 0 one-way calls run, 0 not\n";
    assert_eq!(heard, expected, "SIG{signal}");
}

/// A server, the example `networking` if not said otherwise, killed when dropped.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(address: &str) -> Self {
        let mut command = Command::new(example("networking"));
        command.args(["-listen", address]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = Self::of(command.spawn().unwrap());
        let line = server.read_line();
        let address = line.strip_prefix("listening at ").expect(&line);
        server.address = address.strip_suffix("; Ctrl-C stops\n").expect(&line).to_owned();
        server
    }

    fn of(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, address: String::new() }
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends and ends the sending side, as `nc -N` does; all that comes back.
    fn send(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(killed.success());
    }

    /// Expects a good end; what had been printed and not been read.
    fn end(mut self) -> String {
        let mut heard = String::new();
        self.stdout.read_to_string(&mut heard).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{heard}");
        heard
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(name: &str, flags: &[&str]) -> Output {
    Command::new(example(name)).args(flags).stdin(Stdio::null()).output().unwrap()
}

/// Where cargo has put an example: beside the directory of this test.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: `cargo test` or `cargo build --examples` makes it"
    );
    path
}

/// Whether the real netcat is here. A test that is skipped says so, and in CI none is.
fn has_netcat() -> bool {
    let usage = Command::new("nc").arg("-h").output();
    let text = usage.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let has_netcat = String::from_utf8_lossy(&text).contains("OpenBSD");
    if !has_netcat {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "netcat-openbsd is not installed, and CI must not skip it");
        eprintln!("skipped: netcat-openbsd is not installed, so nc -N was not tried");
    }
    has_netcat
}

/// The first fenced block of this language.
fn block<'t>(text: &'t str, language: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// The examples that need no other process, by name, and a line that each prints.
const SMALL: [(&str, &str); 24] = [
    ("add_while_serving", "added: HELLO\n"),
    ("balance", "the other two: {'b': 150, 'c': 150}\n"),
    ("blocking", "the thread saw that nobody waits for it any more\n"),
    ("blocking_client", "1000 numbers, and their sum is 500500\n"),
    ("call_back", "the client is told: 50 %\n"),
    ("chat", CHAT_SAID),
    ("custom_format", "netcat gets \"10 20 30\"\n"),
    ("echo", "Received from server: Echo: by UDP\n"),
    ("errors", "ASK: the peer answered not_found: there is no job 3\nso 3 is taken off the list\n"),
    ("file", FILE_SAID),
    ("follow", "each once: [1, 2, 3, 4, 5, 6, 7, 10, 11, 12]\n"),
    ("graceful_shutdown", "under way when the server stops: 3 pages printed\n"),
    ("hello", "the client got \"Hello, Ada!\"\n"),
    ("json_lines", "< {\"Result\":null,\"Error\":\"there is no item3\"}\n"),
    ("layers", LAYERS_SAID),
    ("metrics", "switchboard_calls_total{command=\"CHECK_STOCK\",code=\"ok\"} 2\n"),
    ("net_rpc", "56 / 8: 7\n56 / 0: divide by zero\n"),
    ("progress", PROGRESS_SAID),
    ("raw_dialect", "the client reads \"250 took 2 lines\"\n"),
    ("reconnect", "after: 42\n"),
    ("tap", "connection 1: the same answers: true\n"),
    ("testing", "after 400 s of idling: shutting_down\n"),
    ("two_listeners", "both together: 2 connections, 2 calls answered\n"),
    ("unix_socket", "the server is this very process\n"),
];

const CHAT_SAID: &str = "\
    Ada and Carol hear all 200 lines more\n\
    Bob hears the first of them, and then: CHAT: the peer answered overloaded: \
    you were more than 16 lines behind\n\
    Ada hears Bob: I am back\n";

const FILE_SAID: &str = "\
    --- an upload\n\
    stored: b\"22000000\"\n\
    --- a download\n\
    sent: b\"22000000\"\n\
    the same: true\n\
    --- an upload that breaks off\n\
    NotFound: FETCH: the peer answered not_found: no file of that name\n";

const LAYERS_SAID: &str = "\
    Hello, tenant 42!\n\
    without a tenant: GREET: the peer answered denied: say who you are\n\
    a report of 2024 pages\n\
    a report of 2025 pages\n\
    no report: REPORT: the peer answered overloaded: two reports at a time\n";

const PROGRESS_SAID: &str = "\
    the caller is told: 3\n\
    the caller is told: Paused\n\
    the job has ended, and 3 of 5 parts are saved\n\
    the server has ended, and cut off 0 tasks\n\
    --- the next server\n\
    the caller is told: 4\n";

/// What the client says more with the feature `gob`.
const GOB_SENT: &str = "GOB: sent\n";

/// No test waits longer for bytes.
const PATIENCE: Duration = Duration::from_secs(20);
