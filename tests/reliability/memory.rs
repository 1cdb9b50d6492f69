//! G3: what peers can make an endpoint hold, and what one payload can make of itself.

use std::time::Duration;

use switchboard::{Client, Code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[cfg(feature = "gob")]
use crate::bombs;
use crate::child::{Child, ECHO, Settings, raise_files};
use crate::peer::Peer;
use crate::{block_on, crowd, figure};

pub(crate) fn run() {
    amplify();
    block_on(hoard());
    block_on(rest());
}

/// D3 to D5: lengths that are claimed, elements of no size, elements far larger than their bytes.
fn amplify() {
    let mut child = Child::start(&Settings::default());
    let mut peer = Peer::connect(child.address);
    let (mut cases, mut worst) = (0, 0);
    let mut check = |name: &str, payload: &[u8], spare: u64| {
        let before = status(&child, true).rss_bytes;
        let (format, _) = name.split_once('_').unwrap();
        let (reply, _) = peer.call(name, format, 1, payload);
        assert!(
            matches!(reply, Err(Code::BadPayload | Code::TooLarge)),
            "{name}, {} bytes: {reply:?}",
            payload.len()
        );
        let growth = status(&child, false).peak_rss_bytes.saturating_sub(before);
        let beyond = growth.saturating_sub(payload.len() as u64);
        assert!(beyond <= spare, "{name}: {beyond} bytes beyond {}", payload.len());
        assert!(child.is_alive(), "{name}: the endpoint is dead");
        cases += 1;
        worst = beyond.max(worst);
    };
    for length in [1 << 16, 1 << 32, 1 << 40, 1 << 60, 1 << 63, u64::MAX] {
        let claim = [&[253], &length.to_le_bytes()[..]].concat();
        for name in ["bincode_string", "bincode_bytes", "bincode_units", "bincode_unit_map"] {
            check(name, &claim, 1 << 20);
        }
    }
    // A megabyte of `None`, each of which takes 520 bytes in memory.
    let count = 1_000_000_u32;
    let nones = [&[252][..], &count.to_le_bytes(), &vec![0; count as usize]].concat();
    check("bincode_arrays", &nones, 20 << 20);
    let text = format!("[{}null]", "null,".repeat(200_000));
    check("json_arrays", text.as_bytes(), 20 << 20);
    #[cfg(feature = "gob")]
    {
        let nones = [&[0xfd, 0x0f, 0x42, 0x40][..], &vec![0; count as usize]].concat();
        check("gob_sparse", &bombs::gob::<Vec<bombs::Sparse>>(&nones), 20 << 20);
        for claim in [b"\xfd\x0f\x42\x40".as_slice(), b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff"] {
            check("gob_sparse", &bombs::gob::<Vec<bombs::Sparse>>(claim), 1 << 20);
        }
    }
    let text = format!(
        "{cases} payloads that claim lengths up to 2^64-1 or grow 520-fold: all refused, {} KiB \
         beyond the payload at worst (goal 20 MiB)",
        worst >> 10
    );
    figure("G3", &text);
}

fn status(child: &Child, is_begin: bool) -> crate::child::Status {
    crate::block_on_one_thread(async {
        let watch = child.watch().await;
        if is_begin {
            watch.forget_peak().await;
        }
        watch.status().await
    })
}

/// D6: a thousand connections that each announce a megabyte and send half of it.
async fn hoard() {
    let count = CONNECTIONS.min(raise_files().saturating_sub(200));
    let child = Child::start(&Settings::default());
    let watch = child.watch().await;
    let before = watch.status().await;
    let mut streams = Vec::new();
    crowd::connect(child.address, count, &mut streams).await;
    let half = vec![b'x'; 512 << 10];
    for stream in &mut streams {
        let send = async {
            stream.write_all(b"ECHO 1 1048576 f=bytes\n").await?;
            stream.write_all(&half).await
        };
        // The endpoint takes it all, for what it cannot hold it drops.
        let sent = tokio::time::timeout(Duration::from_secs(30), send).await;
        sent.expect("the endpoint reads on").unwrap();
        watch.ping().await;
    }
    let peak = watch.status().await.peak_rss_bytes - before.rss_bytes;
    let bound = (256 << 20) + count * 4096;
    let text = format!(
        "{count} connections that each half-send 1 MiB: {} MiB (goal 256 MiB and 4 KiB for each), \
         {count} of {count} pings answered meanwhile",
        peak >> 20
    );
    figure("G3", &text);
    assert!(peak <= bound + SLACK_BYTES, "{peak} bytes are held");
    // All that was held is given back: there is room for the largest payload again.
    drop(streams);
    watch.until("tasks as before", |now| now.tasks == before.tasks).await;
    let largest = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let client = Client::connect(child.address).await.unwrap();
    assert_eq!(client.call(ECHO, &largest).await.unwrap(), largest);
}

/// A thousand connections that were busy once and are at rest.
async fn rest() {
    let count = CONNECTIONS.min(raise_files().saturating_sub(200));
    let child = Child::start(&Settings::default());
    let watch = child.watch().await;
    let mut streams = Vec::new();
    crowd::connect(child.address, count, &mut streams).await;
    let body = "x".repeat(10_000);
    let calls: String =
        (1..=64).map(|tag| format!("ECHO {tag} {} f=bytes\n{body}", body.len())).collect();
    let reply_bytes = |tag| format!("<{tag} ok {}\n", body.len()).len() + body.len();
    let mut replies = vec![0; (1..=64).map(reply_bytes).sum()];
    let before = watch.status().await.rss_bytes;
    for stream in &mut streams {
        let (mut reading, mut writing) = stream.split();
        let (read, sent) =
            tokio::join!(reading.read_exact(&mut replies), writing.write_all(calls.as_bytes()));
        read.and(sent).unwrap();
    }
    let more = watch.status().await.rss_bytes.saturating_sub(before);
    let text = format!(
        "{count} connections that each had 64 calls of 10 KB: {} KiB each at rest (goal 8 KiB)",
        (more >> 10) / count
    );
    figure("G3", &text);
    assert!(more <= count * 8192, "{more} bytes are held at rest");
}

const CONNECTIONS: u64 = 1_000;

/// For the allocator and what the runtime keeps.
const SLACK_BYTES: u64 = 32 << 20;
