//! A client of HTTP/1.1 that sends what it is told, for many requests on one connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

pub struct Http {
    pub stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    // In lower case, as hyper writes them.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Http {
    pub fn connect(address: &str) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).unwrap()) }
    }

    /// Sends a request such as `GET /api/todos` and reads its response.
    pub fn ask(&mut self, what: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
        let body = body.as_ref();
        let head =
            format!("{what} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        self.send([head.as_bytes(), body].concat())?;
        self.response(what)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Reads the response to such a request.
    pub fn response(&mut self, what: &str) -> io::Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("a bad line: {line:?}")))?;
        let mut response = Response { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            response.headers.push((name.to_owned(), value.to_owned()));
        }
        if what.starts_with("HEAD ") || status == 204 {
            return Ok(response);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            while self.chunk(&mut response.body)? {}
        } else {
            let len = response.header("content-length").unwrap_or("0").parse().unwrap();
            response.body.resize(len, 0);
            self.stream.read_exact(&mut response.body)?;
        }
        Ok(response)
    }

    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let len = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
        let begin = body.len();
        body.resize(begin + len, 0);
        self.stream.read_exact(&mut body[begin..])?;
        self.line()?;
        Ok(len > 0)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
