//! Arbitrary bytes as a datagram: it is one whole call or none, and what is answered fits, is one
//! whole line with its body, and is never a call.
//!
//! Byte 0: `line_bytes_max`, by 32; byte 1: how long an answer may be; byte 2: which. The rest is
//! the datagram, and the payload of the answer.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use switchboard::wire::{DatagramCall, Decoder, Event, Line, Part};
use switchboard::wire::{error_datagram, reply_datagram};
use switchboard::{Code, Error, Metadata};

fuzz_target!(|data: &[u8]| {
    let [line, answer, which, datagram @ ..] = data else {
        return;
    };
    let line_max = usize::from(*line) * 32;
    let call = DatagramCall::parse(datagram, line_max);
    if let Some(call) = &call {
        check(call, datagram);
    }
    let tag = call.as_ref().and_then(DatagramCall::answer_tag).unwrap_or(7);
    let bytes_max = usize::from(*answer) * 2;
    let answer = if which & 1 == 0 {
        reply_datagram(tag, datagram, &Metadata::default(), bytes_max)
    } else {
        let text = String::from_utf8_lossy(datagram).into_owned();
        let code = Code::ALL[usize::from(which >> 1) % Code::ALL.len()];
        error_datagram(tag, &Error::new(code, text), bytes_max)
    };
    let Some(mut answer) = answer else {
        return;
    };
    assert!(answer.len() <= bytes_max);
    assert_eq!(DatagramCall::parse(&answer, 8192), None);
    let mut decoder = Decoder::new(8192, answer.len());
    let Ok(Some(Event::Line(Line::Reply(told, part, _)))) = decoder.decode(&mut answer) else {
        panic!("an answer is no line");
    };
    assert!(told == tag && matches!(part, Part::Ok(_) | Part::Err(..)));
    assert!(matches!(decoder.decode(&mut answer), Ok(Some(Event::Body(_)))));
    assert!(answer.is_empty());
});

/// A call with a tag is printed as it came, but for its line end; a plain one is in the datagram.
fn check(call: &DatagramCall, datagram: &[u8]) {
    assert!(!datagram.starts_with(b"<") && !datagram.starts_with(b">"));
    let payload = &*call.payload;
    let Some(tag) = call.tag else {
        assert!(
            datagram.windows(payload.len().max(1)).any(|part| part == payload)
                || payload.is_empty()
        );
        assert!(!payload.contains(&b'\n'));
        return;
    };
    let (name, options) = (call.name, call.options.clone());
    let len = payload.len().try_into().unwrap();
    let mut printed = BytesMut::new();
    Line::Call { name, tag, len, options }.encode(&mut printed);
    printed.extend_from_slice(payload);
    let line_bytes = datagram.len() - payload.len();
    let without_cr: Vec<u8> = match datagram[..line_bytes].strip_suffix(b"\r\n") {
        Some(line) => [line, b"\n", payload].concat(),
        None => datagram.to_vec(),
    };
    assert_eq!(printed, without_cr);
}
