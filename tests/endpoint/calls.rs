//! Tagged calls: formats, transports, order, both directions, and mistakes that cost one call only.

use bytes::Bytes;
use switchboard::format::{self, Json};
use switchboard::transport::{self, MemoryDialer};
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Result};
use tokio::task::JoinSet;

use super::support::*;

const JSON: Command<Vec<String>, usize, Json> = Command::new("JSON");
const BYTES: Command<Bytes, Bytes, format::Bytes> = Command::new("BYTES");
const ASK_BACK: Command<(u32, u32), u32> = Command::new("ASK_BACK");
const NOTE: Command<String, String, format::Line> = Command::new("NOTE");

#[tokio::test]
async fn every_format_goes_over_every_transport() {
    let endpoint = endpoint()
        .on(JSON, async |list: Vec<String>| Ok::<_, Error>(list.len()))
        .on(BYTES, async |bytes: Bytes| Ok::<_, Error>(bytes));
    #[cfg(feature = "postcard")]
    let endpoint = endpoint.on(POSTCARD, async |number: u32| Ok::<_, Error>(number + 1));

    check_formats(&client(&endpoint)).await;
    check_formats(&Client::connect(&listen(&endpoint, "127.0.0.1:0").await).await.unwrap()).await;
    #[cfg(unix)]
    {
        let file = format!("switchboard-{}-calls.sock", std::process::id());
        let address = format!("unix:{}", std::env::temp_dir().join(file).display());
        let address = listen(&endpoint, &address).await;
        check_formats(&Client::connect(&address).await.unwrap()).await;
        std::fs::remove_file(address.strip_prefix("unix:").unwrap()).unwrap();
    }
    let (listener, dialer): (_, MemoryDialer) = transport::memory_listener();
    tokio::spawn(async move { endpoint.serve(listener).await });
    check_formats(&Endpoint::new().connect_over(dialer.dial().await.unwrap())).await;
}

#[cfg(feature = "postcard")]
const POSTCARD: Command<u32, u32, format::Postcard> = Command::new("POSTCARD");

async fn check_formats(client: &Client) {
    assert_eq!(client.call(ECHO, &"one line".to_owned()).await.unwrap(), "one line");
    assert_eq!(client.call(ADD, &(2, 3)).await.unwrap(), 5);
    assert_eq!(client.call(JSON, &vec![String::new(), "a\nb".to_owned()]).await.unwrap(), 2);
    let bytes = Bytes::from((0..=255).cycle().take(100_000).collect::<Vec<u8>>());
    assert_eq!(client.call(BYTES, &bytes).await.unwrap(), bytes);
    #[cfg(feature = "postcard")]
    assert_eq!(client.call(POSTCARD, &1).await.unwrap(), 2);
}

async fn listen(endpoint: &Endpoint, address: &str) -> String {
    let listener = transport::bind(address).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve(listener).await });
    address
}

#[tokio::test(start_paused = true)]
async fn a_serde_command_speaks_json_when_asked() {
    check(&endpoint(), "ADD 1 5 f=json\n[1,2]", "<1 ok 1\n3").await;
    check(&endpoint(), "CHECK_STOCK 7 7 f=json\n\"item1\"", "<7 ok 3\n100").await;
    check(&endpoint(), "ADD 1 2 f=bincode\n\u{1}\u{2}", "<1 ok 1\n\u{3}").await;
    check(&endpoint(), "ADD 1 2\n\u{1}\u{2}", "<1 ok 1\n\u{3}").await;
    check(&endpoint(), "ECHO 1 4 f=json x=y\n\"ab\"", "<1 ok 4\n\"ab\"").await;
}

#[tokio::test(start_paused = true)]
async fn replies_come_in_the_order_in_which_they_are_ready() {
    let held = Held::new();
    let mut peer = peer(&held.on(endpoint()));
    peer.send("HOLD 1 1 f=line\naHOLD 2 1 f=line\nbECHO 3 1 f=line\nc").await;
    peer.expect("<3 ok 1\nc").await;
    held.begun.reach(2).await;
    held.release(1);
    peer.expect("<1 ok 1\na").await;
    peer.send("ECHO 1 1 f=line\nd").await;
    peer.expect("<1 ok 1\nd").await;
    held.release(1);
    peer.expect("<2 ok 1\nb").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_share_one_client() {
    let client = client(&endpoint());
    let mut tasks = JoinSet::new();
    for a in 0..100 {
        let client = client.clone();
        tasks.spawn(async move {
            for b in 0..20 {
                assert_eq!(client.call(ADD, &(a, b)).await.unwrap(), a + b);
            }
        });
    }
    tasks.join_all().await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_wants_no_reply_gets_none() {
    let notes = Count::default();
    let kept = notes.clone();
    let endpoint = endpoint().on(NOTE, move |text: String, context: Context| {
        assert!(context.is_one_way());
        kept.add();
        async move { if text == "bad" { Err("no") } else { Ok(text) } }
    });
    let one_way = "NOTE 0 3 f=line\nabcNOTE 0 3 f=line\nbadNOPE 0 3\nabcECHO 1 1 f=line\nx";
    check(&endpoint, one_way, "<1 ok 1\nx").await;
    assert_eq!(notes.now(), 2);

    let client = client(&endpoint);
    client.notify(NOTE, &"bad".to_owned()).await.unwrap();
    notes.reach(3).await;
    assert_eq!(client.call(ADD, &(1, 1)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn either_side_calls_the_other() {
    async fn ask_back(numbers: (u32, u32), context: Context) -> Result<u32> {
        Ok(context.client().call(ADD, &numbers).await? + 1)
    }
    let asker = Endpoint::new()
        .on(ADD, async |(a, b): (u32, u32)| Ok::<_, Error>(a * b))
        .on(ASK_BACK, ask_back);
    let client = asker.connect_over(dial(&endpoint().on(ASK_BACK, ask_back)));
    assert_eq!(within(client.call(ASK_BACK, &(5, 6))).await.unwrap(), 31);

    let mut peer = peer(&endpoint().on(ASK_BACK, ask_back));
    peer.send("ASK_BACK 1 5 f=json\n[5,6]").await;
    peer.expect("ADD 1 2\n\u{5}\u{6}").await;
    peer.send("<1 ok 1\n\u{9}").await;
    peer.expect("<1 ok 2\n10").await;
}

#[tokio::test]
async fn an_endpoint_that_dials_is_called_back() {
    async fn ask_back(numbers: (u32, u32), context: Context) -> Result<u32> {
        Ok(context.client().call(ADD, &numbers).await? + 1)
    }
    let address = listen(&endpoint().on(ASK_BACK, ask_back), "127.0.0.1:0").await;
    let client = endpoint().connect(&address).await.unwrap();
    assert_eq!(client.call(ASK_BACK, &(5, 6)).await.unwrap(), 12);
}

/// Each side has more for the other to read than a connection holds.
#[tokio::test(start_paused = true)]
async fn large_replies_in_both_directions_do_not_block_each_other() {
    const BLOB: Command<Bytes, Bytes, format::Bytes> = Command::new("BLOB");
    const ROUND: Command<Bytes, Bytes, format::Bytes> = Command::new("ROUND");
    let blob = || Bytes::from(vec![7; 1 << 20]);
    let with_blob = |endpoint: Endpoint| {
        endpoint.on(BLOB, move |_: Bytes| async move { Ok::<_, Error>(blob()) })
    };
    let there = with_blob(Endpoint::new()).on(ROUND, async |_: Bytes, context: Context| {
        let peer = context.client();
        let calls: Vec<_> = (0..8).map(|_| tokio::spawn(peer.call(BLOB, &Bytes::new()))).collect();
        for call in calls {
            assert_eq!(call.await.unwrap()?.len(), 1 << 20);
        }
        Ok::<_, Error>(Bytes::new())
    });
    let client = with_blob(Endpoint::new()).connect_over(dial(&there));
    let round = tokio::spawn(client.call(ROUND, &Bytes::new()));
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(client.call(BLOB, &Bytes::new()))).collect();
    let start = tokio::time::Instant::now();
    for call in calls {
        assert_eq!(within(call).await.unwrap().unwrap().len(), 1 << 20);
    }
    within(round).await.unwrap().unwrap();
    assert!(start.elapsed().is_zero(), "it waited");
}

#[tokio::test(start_paused = true)]
async fn the_commands_are_listed() {
    let list = "ADD bincode,json (u32, u32) -> u32\n\
                CHECK_STOCK bincode,json String -> u32\n\
                ECHO line,json String -> String\n\
                LETTERS json usize -> String\n\
                STRING raw\n";
    let with_gob = list.replace("json ", "json,gob ");
    let list = if cfg!(feature = "gob") { &with_gob } else { list };
    check(&endpoint(), "?\n", list).await;
    check(&endpoint(), "? 1 0\n", &format!("<1 ok {}\n{list}", list.len())).await;
    check(&endpoint(), "?\n?\n", &format!("{list}{list}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_mistake_costs_one_call_and_not_the_connection() {
    use Code::*;
    check_mistake("NOPE 1 3\nabc", UnknownCommand, "there is no command NOPE; ? lists them").await;
    check_mistake("?nope 1 0\n", UnknownCommand, "there is no command ?nope; ? lists them").await;
    let text = "? speaks json, and lines if no format is named";
    check_mistake("? 1 0 f=xml\n", UnsupportedFormat, text).await;
    check_mistake("? 1 1\nx", BadPayload, "? takes no payload").await;
    check_mistake("ADD 1 1\n\u{1}", BadPayload, "").await;
    check_mistake("ADD 1 3\n\u{1}\u{2}\u{3}", BadPayload, "").await;
    check_mistake("ADD 1 0\n", BadPayload, "").await;
    check_mistake("ADD 1 6 f=json\nCANARY", BadPayload, "").await;
    check_mistake("ECHO 1 20 f=line\nx\nCANARY 9 0 f=line\n", BadPayload, "").await;
    let text = "this command speaks bincode and json";
    check_mistake("ADD 1 2 f=line\nab", UnsupportedFormat, text).await;
    let text = "STRING is a raw command: call it plainly";
    check_mistake("STRING 1 2\nab", UnsupportedFormat, text).await;
    check_mistake("ADD 1 2 stream=1\nab", UnsupportedFormat, "this command takes no stream").await;
    check_mistake("CHECK_STOCK 1 6 f=json\n\"none\"", Failed, "no such item").await;
    let text = "the deadline had passed when the call arrived";
    check_mistake("ECHO 1 1 f=line t=0\na", DeadlineExceeded, text).await;
    let letters = format!("x{}", "A".repeat(1 << 20));
    let text = "a payload of 1048577 bytes is over payload_bytes_max (1048576)";
    check_mistake(&format!("ECHO 1 1048577 f=line\n{letters}"), TooLarge, text).await;
    check_mistake("LETTERS 1 7 f=json\n1048575", TooLarge, text).await;
}

async fn check_mistake(sent: &str, code: Code, text: &str) {
    let held = Held::new();
    let (endpoint, canary) = with_canary(held.on(endpoint()));
    let mut peer = peer(&endpoint);
    // One is under way meanwhile.
    peer.send("HOLD 9 1 f=line\nh").await;
    held.begun.reach(1).await;
    peer.send(sent).await;
    let ran = sent.starts_with("LETTERS") || code == Code::Failed;
    let got = if ran { peer.expect_ran(1, code).await } else { peer.expect_error(1, code).await };
    assert!(got.starts_with(text), "{sent:?}: {got}");
    peer.send("ECHO 1 1 f=line\nx").await;
    peer.expect("<1 ok 1\nx").await;
    held.release(1);
    peer.expect("<9 ok 1\nh").await;
    peer.finish().await;
    peer.expect_end().await;
    assert_eq!(canary.now(), 0, "{sent:?}");
}
