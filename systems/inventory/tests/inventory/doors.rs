//! The doors of the inventory: by hand, in lines of JSON, over HTTP, and the page of metrics.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};

use crate::support::{Folder, Program};

/// The inventory with all its doors.
struct Open {
    _folder: Folder,
    _inventory: Program,
    commands: String,
    lines: String,
    http: String,
}

fn open(name: &str) -> Open {
    let folder = Folder::new(name);
    let settings = [
        ("COMMAND_ADDRESS", "127.0.0.1:0"),
        ("LINES_ADDRESS", "127.0.0.1:0"),
        ("HTTP_ADDRESS", "127.0.0.1:0"),
    ];
    let mut inventory = Program::inventory(&folder, &settings);
    let commands = inventory.commands.clone();
    let (lines, http) = (inventory.said("lines of JSON at "), inventory.said("HTTP at "));
    Open { _folder: folder, _inventory: inventory, commands, lines, http }
}

fn say(address: &str, what: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(what.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The status, the type and the body of a response.
fn ask_http(address: &str, request: &str, headers: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{request} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let line = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    (status, line.unwrap_or_default().to_owned(), body.to_owned())
}

fn call(open: &Open, name: &str, body: &str) -> (u16, String) {
    let headers = "host: localhost\r\ncontent-type: application/json\r\n";
    let (status, _, body) = ask_http(&open.http, &format!("POST /call/{name}"), headers, body);
    (status, body)
}

#[test]
fn all_doors_lead_to_the_same_stock() {
    let open = open("doors");
    assert_eq!(say(&open.commands, "CHECK_STOCK json\n\"item1\"\n"), "100\n");
    let order = r#"{"order":"o1","item":"item1","count":3}"#;
    let made = r#"{"order":"o1","item":"item1","count":3,"left":97}"#;
    assert_eq!(call(&open, "RESERVE", order), (200, made.to_owned()));
    assert_eq!(say(&open.commands, &format!("RESERVE json\n{order}\n")), format!("{made}\n"));
    assert_eq!(call(&open, "CHECK_STOCK", "\"item1\""), (200, "97".to_owned()));
    let (status, body) = call(&open, "RESERVE", r#"{"order":"o2","item":"item1","count":98}"#);
    let left = r#""details":{"TooLittle":{"item":"item1","left":97,"wanted":98}}"#;
    assert!(status == 409 && body.contains(left), "{status} {body}");
}

#[test]
fn lines_of_json_are_answered() {
    let open = open("lines");
    for (line, expected) in [
        (r#"{"Method":"CheckStock","Params":"item1"}"#, r#"{"Result":100,"Error":""}"#),
        (r#"{"Method":"CHECK_STOCK","Params":"item2"}"#, r#"{"Result":50,"Error":""}"#),
        (
            r#"{"Method":"CheckStock","Params":"item3"}"#,
            r#"{"Result":null,"Error":"there is no item \"item3\""}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"CheckStock","params":["item1"],"id":1}"#,
            r#"{"jsonrpc":"2.0","result":100,"id":1}"#,
        ),
    ] {
        assert_eq!(say(&open.lines, &format!("{line}\n")), format!("{expected}\n"));
    }
    let wrong = say(&open.lines, "CheckStock\n{\"Method\":\"CheckStock\",\"Params\":\"item1\"}\n");
    let lines: Vec<_> = wrong.lines().collect();
    assert!(lines[0].starts_with(r#"{"Result":null,"Error":"the line is not JSON"#), "{wrong}");
    assert_eq!(lines[1], r#"{"Result":100,"Error":""}"#);
}

#[test]
fn a_scrape_has_the_figures_and_promtool_accepts_it() {
    let open = open("metrics");
    for item in ["item1", "item1", "item3"] {
        call(&open, "CHECK_STOCK", &format!("\"{item}\""));
    }
    let host = "host: localhost\r\n";
    let (status, kind, page) = ask_http(&open.http, "GET /metrics", host, "");
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4"));
    for line in [
        "inventory_cache_requests_total 3",
        "inventory_cache_loads_total 2",
        "inventory_recount_pieces_total 0",
        r#"switchboard_calls_total{command="CHECK_STOCK",code="ok"} 2"#,
        r#"switchboard_calls_total{command="CHECK_STOCK",code="not_found"} 1"#,
    ] {
        assert!(page.lines().any(|told| told == line), "{line} is not in {page}");
    }
    let (status, ..) = ask_http(&open.http, "GET /metrics", "host: evil.example\r\n", "");
    assert_eq!(status, 403);
    check_with_promtool(&page);
}

/// Prometheus' own tool finds nothing wrong with it: names, units, help, types.
fn check_with_promtool(page: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!is_ci, "promtool is missing: apt-get install prometheus");
            eprintln!("skipped: promtool is missing (apt-get install prometheus)");
            return;
        }
        promtool => promtool.unwrap(),
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{page}");
    println!("promtool accepts a page of {} lines", page.lines().count());
}
