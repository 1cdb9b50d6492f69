//! The server of the cases. The first command of a connection chooses: a name that begins with
//! `SCRIPT.` plays the script of its case, and every other name is for an endpoint.

use std::io::Cursor;
use std::sync::Arc;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::cases::Case;
use crate::commands::endpoint;

/// So many bytes of a line are read to find its name.
const LINE_BYTES_MAX: u64 = 8192;

pub(crate) async fn serve(listener: TcpListener, cases: Vec<Case>) -> Result<()> {
    let cases = Arc::new(cases);
    loop {
        let (stream, _) = listener.accept().await?;
        let cases = Arc::clone(&cases);
        tokio::spawn(async move {
            if let Err(problem) = answer(stream, &cases).await {
                eprintln!("script: {problem}");
            }
        });
    }
}

async fn answer(stream: TcpStream, cases: &[Case]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    let text = String::from_utf8_lossy(&line);
    let name = text.split([' ', '\n']).next().unwrap_or_default();
    let is_for =
        |case: &&Case| !case.script.is_empty() && case.calls.iter().any(|call| call.name() == name);
    let case = cases.iter().find(is_for).filter(|_| name.starts_with("SCRIPT."));
    let name = name.to_owned();
    let behind = reader.buffer().to_vec();
    let stream = reader.into_inner();
    let ahead = Cursor::new([line, behind].concat());
    let Some(case) = case else {
        let (reader, writer) = stream.into_split();
        endpoint().serve_stream(tokio::io::join(ahead.chain(reader), writer)).await;
        return Ok(());
    };
    if case.script.iter().any(|step| step == "!reset") {
        stream.set_zero_linger()?;
    }
    let (reader, writer) = stream.into_split();
    let mut play = Play { reader: BufReader::new(ahead.chain(reader)), writer, tags: Vec::new() };
    for step in &case.script {
        if step == "!end" || step == "!reset" {
            return Ok(());
        }
        play.step(step).await.map_err(|problem| format!("{name}: {step:?}: {problem}"))?;
    }
    // What else comes is read, so that the client is the one to end the connection.
    tokio::io::copy(&mut play.reader, &mut tokio::io::sink()).await?;
    Ok(())
}

/// A script that is being played.
struct Play<R, W> {
    reader: R,
    writer: W,
    /// The tags of the calls that came, which the script knows as `$1`, `$2` and so on.
    tags: Vec<String>,
}

impl<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin> Play<R, W> {
    async fn step(&mut self, step: &str) -> Result<()> {
        let (kind, text) = step.split_once(' ').ok_or("no step")?;
        match kind {
            ">" => self.expect(text).await,
            "<" => self.send(text.as_bytes().to_vec()).await,
            "." => {
                for byte in self.with_tags(text.as_bytes().to_vec()) {
                    self.writer.write_all(&[byte]).await?;
                    self.writer.flush().await?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            "x" => {
                let bytes = text.split(' ').map(|digits| u8::from_str_radix(digits, 16));
                self.send(bytes.collect::<std::result::Result<_, _>>()?).await
            }
            "*" => {
                let (count, text) = text.split_once(' ').ok_or("no count")?;
                self.send(text.repeat(count.parse()?).into_bytes()).await
            }
            _ => Err("no such kind of step".into()),
        }
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        let bytes = self.with_tags(bytes);
        Ok(self.writer.write_all(&bytes).await?)
    }

    fn with_tags(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for (number, tag) in (1..).zip(&self.tags) {
            let sign = format!("${number}").into_bytes();
            while let Some(at) = bytes.windows(sign.len()).position(|window| window == sign) {
                bytes.splice(at..at.saturating_add(sign.len()), tag.bytes());
            }
        }
        bytes
    }

    /// Reads a line and its body. The line has to begin with these words, of which `*` is any, and
    /// a `$` of a number that is new stands for the tag of a call.
    async fn expect(&mut self, words: &str) -> Result<()> {
        let mut line = String::new();
        self.reader.read_line(&mut line).await?;
        let words = String::from_utf8(self.with_tags(words.as_bytes().to_vec()))?;
        let came: Vec<_> = line.trim_end().split(' ').collect();
        for (number, word) in words.split(' ').enumerate() {
            let is_new = word.starts_with('$');
            let came = came.get(number).filter(|came| is_new || word == "*" || word == **came);
            let came = came.ok_or_else(|| format!("{line:?} came"))?;
            if is_new {
                self.tags.push((*came).to_owned());
            }
        }
        let is_call = !line.starts_with(['<', '>']);
        let has_body = is_call || matches!(came.get(1), Some(&"ok" | &"err" | &"item"));
        let length = came.get(2).filter(|_| has_body).map_or(Ok(0), |length| length.parse())?;
        let mut body = (&mut self.reader).take(length);
        tokio::io::copy(&mut body, &mut tokio::io::sink()).await?;
        Ok(())
    }
}
