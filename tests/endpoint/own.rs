//! The endpoint's own commands, and a listener without any.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::format::{Json, Line};
use switchboard::service::{Request, Service};
use switchboard::{Code, Command, Connection, Endpoint, Error, Receiver, Result, Sender, Streamed};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::support::*;

/// It is answered whatever else is not.
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_where_no_call_is_taken() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| {
        limits.calls_per_connection_max = 1;
        limits.calls_max = 1;
    }));
    let mut peer = peer(&endpoint);
    peer.send("HOLD 1 1 f=line\na").await;
    held.begun.reach(1).await;
    peer.send("?PING 2 0\n?PING 3 0 f=json t=0\nECHO 4 1 f=line\nx").await;
    peer.expect("<2 ok 0\n").await;
    peer.expect("<3 ok 0\n").await;
    peer.expect_error(4, Code::Overloaded).await;
    held.release(1);
    peer.expect("<1 ok 1\na").await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_the_endpoint_drains() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    let mut peer = Peer::new(TcpStream::connect(address).await.unwrap());
    peer.send("HOLD 1 1 f=line\na").await;
    held.begun.reach(1).await;
    stop.send(()).unwrap();
    peer.expect_error(0, Code::ShuttingDown).await;
    peer.send("?PING 2 0\n").await;
    peer.expect("<2 ok 0\n").await;
    held.release(1);
    peer.expect("<1 ok 1\na").await;
    peer.expect_farewell().await;
    drop(peer);
    serve.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_neither_a_mistake_nor_the_end_of_some() {
    let endpoint = limited(|limits| limits.consecutive_errors_max = 2);
    let pings = "?PING 1 3\nabc?PING 2 0 f=xml\n".repeat(3);
    let pongs = "<1 ok 0\n<2 ok 0\n".repeat(3);
    check(&endpoint, &pings, &pongs).await;
    let mut peer = peer(&endpoint);
    for _ in 0..3 {
        peer.send("NO 9 0\n").await;
        peer.expect_error(9, Code::UnknownCommand).await;
        peer.send("?PING 1 0\n").await;
        if let Some(pong) = peer.next().await.filter(|reply| reply.starts_with("<0")) {
            assert!(pong.contains("consecutive_errors_max (2)"), "{pong}");
            return;
        }
    }
    panic!("the third mistake is one too many");
}

#[tokio::test(start_paused = true)]
async fn a_ping_has_a_tag_of_its_own() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let mut peer = peer(&endpoint);
    peer.send("HOLD 1 1 f=line\na?PING 1 0\n").await;
    let text = peer.expect_error(0, Code::Protocol).await;
    assert_eq!(text, "tag 1 is of a call that is not answered yet");
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_a_door_is_answered_too() {
    let door = endpoint().door();
    let reply = door.call(Request::new("?PING", "").unwrap()).await.unwrap();
    assert_eq!(reply.payload(), b"");
    let error = door.call(Request::new("?PING", "x").unwrap()).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::BadPayload, "?PING takes no payload"));
    let error = door.call(Request::new("?DESCRIBE", "ECHO").unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedFormat);
}

#[tokio::test(start_paused = true)]
async fn facts_are_told() {
    const LOUD: Command<String, String, Line> = Command::new("LOUD")
        .about("Makes it\nloud.")
        .idempotent()
        .timeout(Duration::from_millis(250))
        .payload_bytes_max(64);
    let loud = async |text: String| Ok::<_, Error>(text.to_uppercase());
    let quiet = async |text: String| Ok::<_, Error>(text.to_lowercase());
    let endpoint = Endpoint::new()
        .on(LOUD, loud)
        .on(Command::<String, String, Json>::new("QUIET"), quiet)
        .on_raw("RAW", async |_: &mut Connection| Ok::<_, Error>(()));
    let [json, line] = ["json", "line,json"].map(|formats| {
        if cfg!(feature = "gob") { format!("{formats},gob") } else { formats.to_owned() }
    });
    let loud = format!(
        "LOUD {line} String -> String, idempotent, timeout 250ms, payload_bytes_max 64: \
         Makes it loud.\n"
    );
    check(&endpoint, "?\n", &format!("{loud}QUIET {json} String -> String\nRAW raw\n")).await;
    check(&endpoint, "?DESCRIBE\nLOUD\n", &loud).await;
    check(&endpoint, "?DESCRIBE json\n\"RAW\"\n", "{\"name\":\"RAW\",\"raw\":true}\n").await;
    let told = exchange(&endpoint, "?DESCRIBE json\n\"LOUD\"\n").await;
    for part in ["\"about\":\"Makes it\\nloud.\"", "\"timeout_ms\":250", "\"idempotent\":true"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let missing = err(0, Code::NotFound, "there is no command of this name; ? lists them");
    check(&endpoint, "?DESCRIBE\nloud\n", &missing).await;
    check(
        &endpoint,
        "?DESCRIBE 1 4\nLOUD",
        &err(
            1,
            Code::UnsupportedFormat,
            "a call that names no format is bincode; this command speaks line and json",
        ),
    )
    .await;
}

/// The object that a program reads, whole: what is not said of a command is there, and null.
#[tokio::test(start_paused = true)]
async fn items_are_described() {
    use switchboard::{Receiver, Sender, Streamed};
    type Both = Command<Streamed<u8, String>, Streamed<bool, u64>, Json>;
    const BOTH: Both = Command::new("BOTH").resumable().endless();
    async fn both(_: String, _: Receiver<u8>, _: Sender<bool>) -> Result<u64, Error> {
        Ok(0)
    }
    let endpoint = Endpoint::new().on(BOTH, both);
    let told = exchange(&endpoint, "?DESCRIBE json\n\"BOTH\"\n").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let shapes = |value: &Value| value["shapes"]["json"].clone();
    let (request, reply) = (&told["request"], &told["reply"]);
    assert_eq!(request["type"], "Streamed<u8, String>");
    assert_eq!(reply["type"], "Streamed<bool, u64>");
    let shapes = [request, &request["items"], reply, &reply["items"]].map(shapes);
    assert_eq!(json!(shapes), json!([[["string"]], [["u8"]], [["u64"]], [["bool"]]]), "{told}");
    assert_eq!((&told["resumable"], &told["endless"]), (&json!(true), &json!(true)));
    let list = exchange(&endpoint, "?\n").await;
    assert!(list.contains(", resumable, endless"), "{list}");
}

#[tokio::test(start_paused = true)]
async fn facts_that_are_not_said_are_null() {
    const TOLD: Command<String, u32, Json> = Command::new("TOLD")
        .about("Counts.")
        .read_only()
        .timeout(Duration::from_millis(250))
        .payload_bytes_max(64);
    const UNTOLD: Command<(), Option<u32>, Json> = Command::new("UNTOLD");
    let endpoint = Endpoint::new()
        .on(TOLD, async |_: String| Ok::<_, Error>(0))
        .on(UNTOLD, async |(): ()| Ok::<_, Error>(None));
    let formats: &[_] = if cfg!(feature = "gob") { &["json", "gob"] } else { &["json"] };
    let told = json!({
        "name": "TOLD", "raw": false, "formats": formats,
        "request": { "type": "String" }, "reply": { "type": "u32" },
        "about": "Counts.", "idempotent": true, "timeout_ms": 250, "payload_bytes_max": 64,
        "read_only": true, "resumable": false, "endless": false,
    });
    let untold = json!({
        "name": "UNTOLD", "raw": false, "formats": formats,
        "request": { "type": "()" }, "reply": { "type": "Option<u32>" },
        "about": null, "idempotent": false, "timeout_ms": null, "payload_bytes_max": null,
        "read_only": false, "resumable": false, "endless": false,
    });
    for expected in [told, untold] {
        let told = exchange(&endpoint, format!("?DESCRIBE json\n{}\n", expected["name"])).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        // There may be more.
        for (member, value) in expected.as_object().unwrap() {
            let found = match value.as_object() {
                // With what it looks like in each format.
                Some(part) => part.iter().all(|(name, value)| told[member][name] == *value),
                None => told.get(member) == Some(value),
            };
            assert!(found, "{member} of {told}");
        }
    }
}

/// Items have a place of their own, and the facts of streams are told.
#[tokio::test(start_paused = true)]
async fn streams_are_described() {
    const DOWN: Command<u8, Streamed<bool, u32>, Json> = Command::new("DOWN").resumable().endless();
    const UP: Command<Streamed<bool, u8>, u32, Json> = Command::new("UP");
    async fn down(_: u8, _: Sender<bool>) -> Result<u32> {
        Ok(0)
    }
    async fn up(_: u8, _: Receiver<bool>) -> Result<u32> {
        Ok(0)
    }
    let endpoint = Endpoint::new().on(DOWN, down).on(UP, up);
    let describe = async |name: &str| -> Value {
        let told = exchange(&endpoint, format!("?DESCRIBE json\n{name:?}\n")).await;
        serde_json::from_str(&told).unwrap()
    };
    let [request, reply, items] = ["u8", "u32", "bool"].map(|word| json!([[word]]));
    for (name, has_request_items) in [("DOWN", false), ("UP", true)] {
        let told = describe(name).await;
        assert_eq!(told["request"]["shapes"]["json"], request, "{told}");
        assert_eq!(told["reply"]["shapes"]["json"], reply, "{told}");
        let (with, without) =
            if has_request_items { ("request", "reply") } else { ("reply", "request") };
        assert_eq!(told[with]["items"]["shapes"]["json"], items, "{told}");
        assert_eq!(told[without].get("items"), Some(&Value::Null), "{told}");
        let facts = [&told["resumable"], &told["endless"]];
        assert_eq!(facts, [&json!(!has_request_items); 2], "{told}");
    }
    let line = exchange(&endpoint, "?DESCRIBE\nDOWN\n").await;
    assert!(line.ends_with("u8 -> Streamed<bool, u32>, resumable, endless\n"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn the_endpoints_own_commands_say_what_they_speak() {
    let refused = err(0, Code::UnsupportedFormat, "?PING has no formats to choose from");
    check(&endpoint(), "?PING json\nSTRING\nx\n", &refused).await;
    let text = "? speaks json, and lines if no format is named";
    let refused = err(0, Code::UnsupportedFormat, text);
    check(&endpoint(), "? xml\nSTRING\nx\n", &refused).await;
    let text = "this command speaks line and json";
    let refused = err(0, Code::UnsupportedFormat, text);
    check(&endpoint(), "?DESCRIBE xml\nECHO\nSTRING\nx\n", &refused).await;
}

#[tokio::test(start_paused = true)]
async fn the_list_is_json_for_who_asks_for_that() {
    let list = client(&endpoint()).call_json("?", &Value::Null).await.unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|told| &told["name"]).collect();
    assert_eq!(names, ["ADD", "CHECK_STOCK", "ECHO", "LETTERS", "STRING"]);
    assert_eq!(list[2]["formats"][0], json!("line"));
    assert_eq!(list[2]["request"], json!({ "type": "String", "shapes": {}, "items": null }));
    assert_eq!(list[4], json!({ "name": "STRING", "raw": true }));
    // By hand it is one line; with a tag it may have no payload, and nothing but `null`.
    let text = list.to_string();
    check(&endpoint(), "? json\n?PING\n", &format!("{text}\n\n")).await;
    let told = format!("<1 ok {}\n{text}", text.len());
    check(&endpoint(), "? 1 0 f=json\n", &told).await;
    check(&endpoint(), "? 1 4 f=json\nnull", &told).await;
    let refused = err(1, Code::BadPayload, "? takes no payload");
    check(&endpoint(), "? 1 4 f=json\ntrue", &refused).await;
}

/// It is dropped as it comes, however large it is.
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_whatever_body_comes_with_it() {
    let endpoint = limited(|limits| {
        limits.payload_bytes_max = 10;
        limits.consecutive_errors_max = 0;
    });
    let sent = format!("?PING 1 100000 f=xml a-b=c\n{}ECHO 2 1 f=line\nx", "\n".repeat(100_000));
    check(&endpoint, &sent, "<1 ok 0\n<2 ok 1\nx").await;
}

async fn shout(caller: &mut Connection) -> Result<()> {
    while let Some(line) = caller.read_line().await? {
        match &*line {
            "fail" => return Err(Error::new(Code::Denied, "no")),
            "panic" => panic!("on purpose"),
            "hang" => std::future::pending().await,
            _ => caller.write_line(&line.to_uppercase()).await?,
        }
    }
    Ok(())
}

/// Nothing that it reads is a line of the protocol, and nothing that is written.
#[tokio::test]
async fn a_raw_listener_says_nothing_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = limited(|limits| {
        limits.connections_max = 1;
        limits.drain_time_max = Duration::from_millis(50);
        limits.linger_time_max = Duration::from_millis(50);
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serve =
        tokio::spawn(async move { endpoint.serve_raw_until(listener, shout, stopped).await });
    let dial = async || TcpStream::connect(address).await.unwrap();
    for (sent, expected) in [
        ("", ""),
        ("?\n<1 ok 0\nGREET 1 4\n", "?\n<1 OK 0\nGREET 1 4\n"),
        ("a\nfail\nb\n", "A\n"),
        ("a\npanic\nb\n", "A\n"),
        ("a\n\u{0}b\n", "A\n\u{0}B\n"),
    ] {
        assert_eq!(exchange_over(dial().await, sent).await, expected, "{sent:?}");
    }
    let mut hangs = dial().await;
    hangs.write_all(b"a\nhang\n").await.unwrap();
    let mut hangs = Peer::new(hangs);
    hangs.expect_bytes("A\n").await;
    // There is no place for another.
    assert_eq!(exchange_over(dial().await, "x\n").await, "");
    stop.send(()).unwrap();
    hangs.expect_end().await;
    let report = serve.await.unwrap().unwrap();
    assert_eq!(report.connections, 6, "{report:?}");
}

#[cfg(feature = "gob")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Lower {
    number: i64,
}

#[cfg(feature = "gob")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upper {
    number: i64,
}

/// Go passes over fields whose names begin with a lower-case letter, and says nothing.
#[cfg(feature = "gob")]
#[tokio::test(start_paused = true)]
async fn gob_is_offered_where_go_takes_notice_of_all_fields() {
    use switchboard::format::Gob;

    const LOWER: Command<Lower, u8, Json> = Command::new("LOWER");
    const LOWER_ITEMS: Command<u8, Streamed<Lower, u8>, Json> = Command::new("LOWER_ITEMS");
    const LOWER_REPLY: Command<u8, Vec<Lower>, Json> = Command::new("LOWER_REPLY");
    const OWN: Command<Lower, u8, Gob> = Command::new("OWN");
    const UPPER: Command<Upper, Vec<Upper>, Json> = Command::new("UPPER");

    async fn items(_: u8, _: Sender<Lower>) -> Result<u8> {
        Ok(0)
    }

    async fn small(lower: Lower) -> Result<u8> {
        u8::try_from(lower.number).map_err(Error::internal)
    }

    let endpoint = Endpoint::new()
        .on(LOWER, small)
        .on(LOWER_ITEMS, items)
        .on(LOWER_REPLY, async |_: u8| Ok::<_, Error>(Vec::new()))
        .on(OWN, small)
        .on(UPPER, async |upper: Upper| Ok::<_, Error>(vec![upper]));
    let list = "LOWER json Lower -> u8\n\
                LOWER_ITEMS json u8 -> Streamed<Lower, u8>\n\
                LOWER_REPLY json u8 -> Vec<Lower>\n\
                OWN gob,json Lower -> u8\n\
                UPPER json,gob Upper -> Vec<Upper>\n";
    check(&endpoint, "?\n", list).await;
    let refused = err(1, Code::UnsupportedFormat, "this command speaks json");
    check(&endpoint, "LOWER 1 1 f=gob\nx", &refused).await;
    // Two programs in Rust, which both chose gob, understand each other.
    assert_eq!(client(&endpoint).call(OWN, &Lower { number: 7 }).await.unwrap(), 7);
}
