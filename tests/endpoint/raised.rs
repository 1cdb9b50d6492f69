//! Limits that were raised hold for whatever is written, and no other bound does.

use serde::{Deserialize, Serialize};
use switchboard::format::{Format, Gob, Json};
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, Limits, Result, transport};

const TEXT: Command<u32, String, Gob> = Command::new("TEXT");
const TEXT_JSON: Command<u32, String, Json> = Command::new("TEXTJSON");
const LISTS: Command<u32, Lists, Gob> = Command::new("LISTS");
const LISTS_JSON: Command<u32, Lists, Json> = Command::new("LISTSJSON");

/// Over the 16 MiB that the crate for gob allows by itself.
const LARGE_BYTES: u32 = 17 << 20;

/// Over the 200 that it allows: of each level serde sees two.
const DEEP: u32 = 500;

/// A list in a list in a list.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lists(Vec<Self>);

impl Lists {
    fn deep(levels: u32) -> Self {
        (1..levels).fold(Self(Vec::new()), |inner, _| Self(vec![inner]))
    }
}

fn text(bytes: u32) -> String {
    "x".repeat(bytes as usize)
}

fn raised() -> Limits {
    Limits::default().with(|limits| {
        limits.payload_bytes_max = 20 << 20;
        limits.decode_bytes_max = 64 << 20;
        limits.depth_max = Limits::DEPTH_MOST;
    })
}

/// Two ends of a stream, the first served with these limits.
fn served(limits: Limits) -> transport::MemoryStream {
    async fn lists(levels: u32) -> Result<Lists> {
        Ok(Lists::deep(levels))
    }
    async fn letters(bytes: u32) -> Result<String> {
        Ok(text(bytes))
    }
    let endpoint = Endpoint::new()
        .with_limits(limits)
        .on(TEXT, letters)
        .on(TEXT_JSON, letters)
        .on(LISTS, lists)
        .on(LISTS_JSON, lists);
    let (here, there) = transport::memory();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    here
}

fn client(limits: Limits) -> Client {
    Endpoint::new().with_limits(raised()).connect_over(served(limits))
}

#[tokio::test]
async fn a_large_reply_comes_whichever_way_it_is_asked_for() {
    let client = client(raised());
    assert!(client.call(TEXT, &LARGE_BYTES).await.unwrap() == text(LARGE_BYTES));
    assert!(client.call(TEXT_JSON, &LARGE_BYTES).await.unwrap() == text(LARGE_BYTES));

    let mut plain = Connection::connect_over(served(raised())).with_limits(raised());
    for _ in 0..2 {
        plain.write_line("TEXT").await.unwrap();
        plain.write_value::<Gob, _>(&LARGE_BYTES).await.unwrap();
        assert!(plain.read_value::<Gob, String>().await.unwrap() == Some(text(LARGE_BYTES)));
    }
}

#[tokio::test]
async fn a_large_value_is_written() {
    let (here, there) = transport::memory();
    let [mut here, mut there] =
        [here, there].map(|stream| Connection::connect_over(stream).with_limits(raised()));
    let (value, lists) = (text(LARGE_BYTES), Lists::deep(DEEP));
    let write = async {
        here.write_value::<Gob, _>(&value).await.unwrap();
        here.write_value::<Gob, _>(&lists).await.unwrap();
        here.write_value::<Gob, _>(&value).await.unwrap();
    };
    let read = async {
        assert!(there.read_value::<Gob, String>().await.unwrap().as_ref() == Some(&value));
        assert_eq!(there.read_value::<Gob, Lists>().await.unwrap().as_ref(), Some(&lists));
        assert!(there.read_value::<Gob, String>().await.unwrap().as_ref() == Some(&value));
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_reply_is_as_deep_as_depth_max_allows() {
    async fn check<F>(command: Command<u32, Lists, F>)
    where
        F: Format<u32> + Format<Lists>,
    {
        let reply = client(raised()).call(command, &DEEP).await;
        assert_eq!(reply.unwrap(), Lists::deep(DEEP));
        // 63 lists in newtypes are 126 levels.
        let usual = client(Limits::default());
        assert_eq!(usual.call(command, &63).await.unwrap(), Lists::deep(63));
        let refused: Result<Lists, Error> = usual.call(command, &65).await;
        assert_eq!(refused.unwrap_err().code(), Code::Failed);
    }
    check(LISTS).await;
    check(LISTS_JSON).await;
}
