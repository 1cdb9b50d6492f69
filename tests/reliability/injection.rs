//! G16: neither a name, nor a text, nor another protocol puts a command where there is none.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use switchboard::format::Line;
use switchboard::wire::{FormatWord, Name};
use switchboard::{Code, Command, Connection, Endpoint, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::pipeline::Subject;
use crate::{block_on, figure};

const LINE: Command<String, String, Line> = Command::new("LINE");

pub(crate) fn run() {
    let words = words();
    block_on(async {
        let subject = Subject::new();
        let lines = lines(&subject).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let endpoint = subject.endpoint.clone();
        tokio::spawn(async move { endpoint.serve(listener).await });
        let names = names(&address).await;
        let (strangers, slowest) = strangers(&address).await;
        let canaries = subject.canaries();
        let text = format!(
            "256 bytes in 3 places: {words} names and format words made here, {lines} lines of \
             text and {names} names sent; {strangers} requests of browsers and others: {canaries} \
             canary runs (goal 0), 0 bad bytes sent (goal 0); strangers closed after {:.1} ms at \
             worst (goal 10 ms)",
            slowest.as_secs_f64() * 1e3
        );
        figure("G16", &text);
        assert_eq!(canaries, 0, "something that was no command ran");
    });
}

/// A word with this byte at its beginning, in its middle or at its end.
fn with_byte(word: &str, place: usize, byte: u8) -> Vec<u8> {
    let mut bytes = word.as_bytes().to_vec();
    bytes.insert([0, word.len() / 2, word.len()][place], byte);
    bytes
}

/// Names and format words that could break a line cannot be made.
fn words() -> u32 {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(|| {
        let mut count = 0;
        for (place, byte) in places() {
            let bytes = with_byte("NAME", place, byte);
            let is_word = byte.is_ascii_graphic();
            let is_first = place == 0 && (b"<>[{".contains(&byte) || byte.is_ascii_digit());
            let is_name = is_word && !is_first;
            assert_eq!(Name::parse(&bytes).is_ok(), is_name, "{bytes:?}");
            if let Ok(name) = String::from_utf8(bytes.clone()) {
                // Names that begin with `?` are names, and the endpoint's own.
                let is_ours = is_name && !name.starts_with('?');
                let made = catch_unwind(|| Command::<(), ()>::new(&name));
                assert_eq!(made.is_ok(), is_ours, "{name:?}");
                count += 1;
            }
            if !is_word {
                assert!(FormatWord::parse(&bytes).is_err(), "{bytes:?}");
            }
            count += 2;
        }
        count
    });
    std::panic::set_hook(usual);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Texts that are more than a line are refused before a byte is sent, others arrive as they are.
async fn lines(subject: &Subject) -> u32 {
    let (here, there) = transport::memory();
    let endpoint = subject.endpoint.clone();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);
    let (silent, mut overheard) = transport::memory();
    let refused = Endpoint::new().connect_over(silent);
    let (raw, mut raw_overheard) = transport::memory();
    let mut raw = Connection::connect_over(raw);
    let mut count = 0;
    for (place, byte) in places() {
        let mut text = "a __pwned text".to_owned();
        text.insert([0, 2, text.len()][place], char::from(byte));
        count += 1;
        if !b"\n\r\0".contains(&byte) {
            assert_eq!(client.call(LINE, &text).await.unwrap(), text);
            continue;
        }
        for client in [&client, &refused] {
            let error = client.call(LINE, &text).await.unwrap_err();
            assert_eq!((error.code(), error.was_sent()), (Code::BadPayload, false), "{text:?}");
            assert!(client.notify(LINE, &text).await.is_err());
        }
        if byte != 0 {
            assert!(raw.write_line(&text).await.is_err(), "{text:?}");
        }
    }
    refused.close().await;
    drop(raw);
    let mut said = Vec::new();
    overheard.read_to_end(&mut said).await.unwrap();
    // The farewell of a client, and nothing of what it was to send.
    let farewell = said.escape_ascii().to_string();
    assert!(said.is_empty() || said.starts_with(b"<0 err "), "{farewell}");
    assert!(!farewell.contains("LINE"), "{farewell}");
    said.clear();
    raw_overheard.read_to_end(&mut said).await.unwrap();
    assert!(said.is_empty(), "{}", said.escape_ascii());
    count
}

/// Whatever stands in a name, the payload behind it is none of a command.
async fn names(address: &str) -> u32 {
    let mut count = 0;
    for (place, byte) in places() {
        let mut bytes = with_byte("NAME", place, byte);
        bytes.extend_from_slice(b" 1 35\n\n__pwned\n__owned 1 0 f=bytes\n\n\n\n\n");
        exchange(address, &bytes, bytes.len(), true).await;
        count += 1;
    }
    count
}

/// Browsers, and others that knock at the wrong door.
async fn strangers(address: &str) -> (usize, Duration) {
    let post = "POST / HTTP/1.1\r\nHost: localhost:61000\r\nConnection: keep-alive\r\n\
                Content-Length: 24\r\nsec-ch-ua-mobile: ?0\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
                x86_64)\r\nContent-Type: text/plain;charset=UTF-8\r\nAccept: */*\r\nOrigin: \
                https://example.com\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\
                Accept-Encoding: gzip, deflate, br\r\n\r\n__pwned\n__owned 1 0 f=bytes\n\n\n\n\n";
    let form = "POST /a HTTP/1.1\r\nHost: [::1]\r\nContent-Type: multipart/form-data; \
                boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\
                __pwned\n__owned 1 0 f=bytes\n\r\n--x--\r\n";
    let hello = "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\n__pwned\n__owned 1 0 f=bytes\n";
    let mut requests = vec![post.to_owned(), form.to_owned(), hello.to_owned()];
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "post"] {
        for version in [" HTTP/1.1", " HTTP/1.0", ""] {
            for end in ["\r\n", "\n"] {
                let body = "Host: a\r\n\r\n__pwned\n__owned 1 0 f=bytes\n";
                requests.push(format!("{method} /__pwned{version}{end}{body}"));
            }
        }
    }
    let others = [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "Host: localhost\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "EHLO localhost\r\n",
        "*1\r\n$7\r\n",
        "\r\n",
        "\n",
        "\0\0\0\u{8}",
    ];
    requests.extend(others.map(|begin| format!("{begin}__pwned\n__owned 1 0 f=bytes\n")));
    let mut slowest = Duration::ZERO;
    for request in &requests {
        for piece_bytes in [request.len(), 1] {
            // Closed by the endpoint, although more might come.
            let (answer, time) = exchange(address, request.as_bytes(), piece_bytes, false).await;
            let is_http = request.contains(" HTTP/") || request == hello;
            assert!(!is_http || answer.is_empty(), "{request:?} was answered {answer:?}");
            slowest = slowest.max(time);
        }
    }
    (2 * requests.len(), slowest)
}

/// Sends bytes in pieces, as long as they are taken; gives back what came before the endpoint
/// closed, and how long after the last piece that was.
async fn exchange(
    address: &str,
    bytes: &[u8],
    piece_bytes: usize,
    is_ended: bool,
) -> (Vec<u8>, Duration) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in bytes.chunks(piece_bytes) {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    let begun = Instant::now();
    if is_ended {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    // A reset closes as well.
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer));
    let _ = read.await.expect("the connection is closed");
    (answer, begun.elapsed())
}

fn places() -> impl Iterator<Item = (usize, u8)> {
    (0..3).flat_map(|place| (0..=255).map(move |byte| (place, byte)))
}
