//! A caller that is what a Go program would be, and the bytes of one that was.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::{Result, transport};
use switchboard_gob::{Decoder, Encoder, Limits, Value};
use switchboard_testing::waiting::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::endpoint::{Args, Quotient};

/// What Go 1.19 sends for four calls of one `rpc.Client`, written down behind a `net.Conn` that
/// keeps what passes: Multiply{7, 8}, Nothing{1, 2}, Divide{1, 0} and Divide{17, 5} of `Arith`.
pub(crate) const FROM_GO: [&str; 4] = [
    "2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c00010353657101060000\
     0013ff82010e41726974682e4d756c7469706c79001eff83030101044172677301ff84000102010141010400010142\
     010400000007ff84010e011000",
    "14ff82010d41726974682e4e6f7468696e6701010007ff840102010400",
    "13ff82010c41726974682e44697669646501020005ff84010200",
    "13ff82010c41726974682e44697669646501030007ff840122010a00",
];

/// What a Go program would be, in its own words.
pub(crate) struct Caller<S> {
    pub(crate) stream: S,
    encoder: Encoder,
    decoder: Decoder,
    input: Vec<u8>,
    seq: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    service_method: String,
    seq: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    service_method: String,
    seq: u64,
    error: String,
}

/// An answer, with the reply as a stream of its own.
pub(crate) struct Answer {
    pub(crate) service_method: String,
    pub(crate) seq: u64,
    error: String,
    reply: Vec<u8>,
}

impl Answer {
    /// How long the reply is.
    pub(crate) fn reply_bytes(&self) -> Result<usize, &str> {
        if self.error.is_empty() { Ok(self.reply.len()) } else { Err(&self.error) }
    }

    pub(crate) fn reply<T: DeserializeOwned>(&self) -> Result<T, String> {
        if self.error.is_empty() {
            return Ok(switchboard_gob::from_slice(&self.reply).unwrap());
        }
        let nothing: Value = switchboard_gob::from_slice(&self.reply).unwrap();
        assert_eq!(nothing, Value::Struct(Vec::new()));
        Err(self.error.clone())
    }
}

impl<S: transport::Io> Caller<S> {
    pub(crate) fn new(stream: S) -> Self {
        // It takes whatever comes.
        let mut limits = Limits::default();
        limits.value_bytes_max = usize::MAX;
        limits.depth_max = usize::MAX;
        let (encoder, decoder) = (Encoder::new(), Decoder::with_limits(limits));
        Self { stream, encoder, decoder, input: Vec::new(), seq: 0 }
    }

    /// Makes a call; answers its number.
    pub(crate) async fn send<T>(&mut self, method: &str, argument: &T) -> u64
    where
        T: Serialize + DeserializeOwned,
    {
        let call = self.encode(method, argument);
        within(self.stream.write_all(&call)).await.unwrap();
        self.seq - 1
    }

    /// The next call, as it goes out.
    pub(crate) fn encode<T>(&mut self, method: &str, argument: &T) -> Vec<u8>
    where
        T: Serialize + DeserializeOwned,
    {
        let mut out = Vec::new();
        let request = Request { service_method: method.to_owned(), seq: self.seq };
        self.seq += 1;
        self.encoder.encode(&request, &mut out).unwrap();
        self.encoder.encode(argument, &mut out).unwrap();
        out
    }

    pub(crate) async fn multiply(&mut self, a: i64, b: i64) -> u64 {
        self.send("Arith.Multiply", &Args { a, b }).await
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_or_end().await.expect("the stream ended")
    }

    /// The next answer, unless the stream ends.
    pub(crate) async fn answer_or_end(&mut self) -> Option<Answer> {
        self.gob().await?;
        let Response { service_method, seq, error } = self.decoder.decode().unwrap();
        let reply = self.gob().await.expect("a reply");
        Some(Answer { service_method, seq, error, reply })
    }

    /// The next value, as a stream of its own.
    async fn gob(&mut self) -> Option<Vec<u8>> {
        let mut pushed = 0;
        loop {
            let progress = self.decoder.push(&self.input[pushed..]).unwrap();
            pushed += progress.used_bytes;
            if progress.is_complete {
                let mut alone = Vec::new();
                self.decoder.put_definitions(&mut alone);
                alone.extend(self.input.drain(..pushed));
                return Some(alone);
            }
            // Longer than any limit on time.
            let read = timeout(Duration::from_secs(1000), self.stream.read_buf(&mut self.input));
            if read.await.unwrap().unwrap_or_default() == 0 {
                assert!(self.input.is_empty(), "the stream ended in a value");
                return None;
            }
        }
    }

    /// The answers to all of [`FROM_GO`], in whatever order.
    pub(crate) async fn expect_what_go_asked_for(&mut self) {
        let mut answers = BTreeMap::new();
        while answers.len() < FROM_GO.len() {
            let answer = self.answer().await;
            answers.insert(answer.seq, answer);
        }
        assert_eq!(answers[&0].reply(), Ok(56_i64));
        let text = "rpc: can't find method Arith.Nothing";
        assert_eq!(answers[&1].reply::<i64>(), Err(text.to_owned()));
        assert_eq!(answers[&2].reply::<Quotient>(), Err("divide by zero".to_owned()));
        assert_eq!(answers[&3].reply(), Ok(Quotient { quo: 3, rem: 2 }));
    }
}
