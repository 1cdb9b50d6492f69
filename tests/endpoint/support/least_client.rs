//! The least that a client must do, as `docs/PROTOCOL.md` says it, and nothing else.
//!
//! It is written as in another language: text over a stream of bytes, and nothing of the library.
//! The numbers are those of the steps on that page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How a call has ended.
#[derive(Debug, PartialEq)]
pub enum End {
    Ok(String),
    /// The code, and the text.
    Err(String, String),
    DidNotRun,
    InDoubt,
}

pub struct LeastClient<S> {
    stream: S,
    input: Vec<u8>,
    open: BTreeSet<u32>,
    ended: BTreeMap<u32, End>,
    pub notice: Option<String>,
    has_farewell: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> LeastClient<S> {
    pub fn new(stream: S) -> Self {
        let (input, open, ended) = Default::default();
        Self { stream, input, open, ended, notice: None, has_farewell: false }
    }

    /// 1 and 7: answers the tag; `None` if no more calls can be made.
    pub async fn call(&mut self, name: &str, json: &str, time: Option<Duration>) -> Option<u32> {
        let time = time.map(|time| format!(" t={}", time.as_millis())).unwrap_or_default();
        self.send_call(name, &format!(" f=json{time}"), json).await
    }

    /// 6.
    pub async fn ping(&mut self) -> Option<u32> {
        self.send_call("?PING", "", "").await
    }

    async fn send_call(&mut self, name: &str, options: &str, payload: &str) -> Option<u32> {
        if self.notice.is_some() {
            return None;
        }
        let tag = (1..).find(|tag| !self.open.contains(tag) && !self.ended.contains_key(tag))?;
        self.open.insert(tag);
        self.send(format!("{name} {tag} {}{options}\n{payload}", payload.len())).await;
        Some(tag)
    }

    /// 7: waits no longer than so, and gives the call up then.
    pub async fn end_within(&mut self, tag: u32, time: Duration) -> Option<End> {
        let end = timeout(time, self.end(tag)).await.ok();
        if end.is_none() {
            self.send(format!(">{tag} cancel\n")).await;
        }
        end
    }

    pub async fn end(&mut self, tag: u32) -> End {
        loop {
            if let Some(end) = self.ended.remove(&tag) {
                return end;
            }
            let is_over = !self.step().await;
            assert!(!is_over || self.ended.contains_key(&tag), "tag {tag} is of no call");
        }
    }

    /// Reads a line, and does what it asks for; whether another may come.
    pub async fn step(&mut self) -> bool {
        let Some((line, body)) = self.read().await else { return self.finish() };
        let words: Vec<_> = line.split(' ').collect();
        let (sign, tag) = words[0].split_at(1);
        match (sign, &words[1..]) {
            // 4.
            ("<", ["err", ..]) if tag == "0" => self.notice = Some(words[3].to_owned()),
            ("<", ["ok", ..]) if tag == "0" => self.has_farewell = true,
            // 3.
            ("<", ["ok", ..]) => self.note(tag.parse().unwrap(), End::Ok(body)),
            ("<", ["err", _, code, ..]) => {
                self.note(tag.parse().unwrap(), End::Err((*code).to_owned(), body));
            }
            // 5.
            ("<" | ">", _) | (_, ["0", _, ..]) => {}
            (_, [tag, _, ..]) => self.send(format!("<{tag} err 0 unknown_command\n")).await,
            _ => {
                self.stream.shutdown().await.unwrap();
                return self.finish();
            }
        }
        true
    }

    /// 2: a line, and the body that it announces; `None` at the end.
    async fn read(&mut self) -> Option<(String, String)> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
                let whole = end + 1 + body_bytes(&line);
                if whole <= self.input.len() {
                    let body = String::from_utf8_lossy(&self.input[end + 1..whole]).into_owned();
                    self.input.drain(..whole);
                    return Some((line, body));
                }
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or_default() == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, text: String) {
        // Whether it has arrived is learned from what is read.
        self.stream.write_all(text.as_bytes()).await.ok();
    }

    fn note(&mut self, tag: u32, end: End) {
        assert!(self.open.remove(&tag), "a reply to tag {tag}, which is of no call");
        self.ended.insert(tag, end);
    }

    /// 4: nothing more comes.
    fn finish(&mut self) -> bool {
        for tag in std::mem::take(&mut self.open) {
            let end = if self.has_farewell { End::DidNotRun } else { End::InDoubt };
            self.ended.insert(tag, end);
        }
        false
    }
}

fn body_bytes(line: &str) -> usize {
    let words: Vec<_> = line.split(' ').collect();
    let is_call = !line.starts_with(['<', '>']);
    match &words[1..] {
        ["ok" | "err" | "item", bytes, ..] if !is_call => bytes.parse().unwrap(),
        [_, bytes, ..] if is_call => bytes.parse().unwrap(),
        _ => 0,
    }
}
