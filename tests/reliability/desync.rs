//! G9: whatever a payload holds, what follows it is read where it begins.

use std::time::{Duration, Instant};

use switchboard::transport::{self, UnixListener};
use switchboard_testing::random::{Random, rounds};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::pipeline::{self, Item, Subject};
use crate::{block_on_one_thread, figure};

pub(crate) fn run() {
    block_on_one_thread(async {
        let subject = Subject::new();
        let begun = Instant::now();
        let memory = in_memory(&subject, rounds(10_000)).await;
        let rate = memory as f64 / begun.elapsed().as_secs_f64();
        let tcp = over_tcp(&subject, rounds(300)).await;
        let unix = over_unix(&subject, rounds(300)).await;
        let canaries = subject.canaries();
        let text = format!(
            "{memory} pipelines in memory ({rate:.0} a second), {tcp} over TCP, {unix} over Unix, \
             each with one payload corrupted at one offset after the other: {canaries} canary runs \
             (goal 0), 0 differences from the model (goal 0; 10^6 pipelines at \
             SWITCHBOARD_SCALE=100)"
        );
        figure("G9", &text);
        assert_eq!(canaries, 0, "part of a payload was run as a command");
    });
}

async fn in_memory(subject: &Subject, count: u64) -> u64 {
    each_pipeline(1, count, async |items| {
        let (here, there) = transport::memory();
        let (answer, ()) =
            tokio::join!(exchange(here, items), subject.endpoint.serve_stream(there));
        answer
    })
    .await
}

async fn over_tcp(subject: &Subject, count: u64) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = subject.endpoint.clone();
    let server = tokio::spawn(async move { endpoint.serve(listener).await });
    let dial =
        async |items: &[Item]| exchange(TcpStream::connect(address).await.unwrap(), items).await;
    let count = each_pipeline(2, count, dial).await;
    server.abort();
    count
}

async fn over_unix(subject: &Subject, count: u64) -> u64 {
    let path = std::env::temp_dir().join(format!("switchboard-g9-{}", std::process::id()));
    let listener = UnixListener::bind(&path).await.unwrap();
    let endpoint = subject.endpoint.clone();
    let server = tokio::spawn(async move { endpoint.serve(listener).await });
    let dial =
        async |items: &[Item]| exchange(UnixStream::connect(&path).await.unwrap(), items).await;
    let count = each_pipeline(3, count, dial).await;
    server.abort();
    count
}

/// Makes pipelines until there were `count`, and compares what each is answered with the model.
async fn each_pipeline(seed: u64, count: u64, answer: impl AsyncFn(&[Item]) -> Vec<u8>) -> u64 {
    let mut random = Random::new(seed);
    let mut done = 0;
    while done < count {
        let sound = pipeline::random(&mut random);
        check(&sound, &answer).await;
        let victim = random.below(sound.len());
        for offset in 0..sound[victim].payload.len() {
            let mut items = sound.clone();
            pipeline::corrupt(&mut items[victim], offset, &mut random);
            check(&items, &answer).await;
            done += 1;
        }
    }
    done
}

async fn check(items: &[Item], answer: &impl AsyncFn(&[Item]) -> Vec<u8>) {
    let answer = answer(items).await;
    let expected = pipeline::model(items);
    if let Err(difference) = pipeline::read(&expected, &answer) {
        let (sent, answer) = (pipeline::bytes(items), answer.escape_ascii());
        panic!("{difference}\nsent:     {}\nanswered: {answer}", sent.escape_ascii());
    }
}

/// Sends a pipeline and reads all that is answered.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, items: &[Item]) -> Vec<u8> {
    let talk = async {
        stream.write_all(&pipeline::bytes(items)).await.unwrap();
        // Ended by the peer already, if it has closed the connection.
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(Duration::from_secs(60), talk).await.expect("the connection is closed")
}
