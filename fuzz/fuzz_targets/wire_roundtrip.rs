//! Printing what was parsed gives the same bytes, but for blanks round a name, and parsing what was
//! printed the same line.

#![no_main]

use arbitrary::{Result, Unstructured};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use switchboard::Code;
use switchboard::wire::{FormatWord, Line, Name, Options, Part};

fuzz_target!(|data: &[u8]| {
    for text in data.split(|byte| *byte == b'\n') {
        if text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            check_text(text);
        }
    }
    if let Ok(line) = line(&mut Unstructured::new(data)) {
        let printed = print(&line);
        assert_eq!(Line::parse(printed.strip_suffix(b"\n").unwrap()), Ok(line));
    }
});

fn check_text(text: &[u8]) {
    match Line::parse(text) {
        Ok(line) => {
            // A name alone may have blanks round it.
            let is_name = matches!(line, Line::Plain { format: None, .. });
            let text = if is_name { text.trim_ascii() } else { text };
            assert_eq!(print(&line).strip_suffix(b"\n"), Some(text));
        }
        Err(flaw) => assert!(flaw.to_string().is_ascii()),
    }
}

fn print(line: &Line) -> BytesMut {
    let mut printed = BytesMut::new();
    line.encode(&mut printed);
    printed
}

fn line(input: &mut Unstructured<'_>) -> Result<Line> {
    let part = |input: &mut Unstructured<'_>| {
        Ok(match input.int_in_range(0..=5)? {
            0 => Part::Item(input.arbitrary()?),
            1 => Part::Credit(input.arbitrary()?),
            2 => Part::End,
            3 => Part::Cancel,
            4 => Part::Ok(input.arbitrary()?),
            _ => Part::Err(input.arbitrary()?, *input.choose(&Code::ALL)?),
        })
    };
    Ok(match input.int_in_range(0..=3)? {
        0 => Line::Plain { name: name(input)?, format: format(input)? },
        1 => Line::Call {
            name: name(input)?,
            tag: input.arbitrary()?,
            len: input.arbitrary()?,
            options: Options::new(format(input)?, input.arbitrary()?),
        },
        2 => match part(input)? {
            Part::Ok(_) | Part::Err(..) => return Err(arbitrary::Error::IncorrectFormat),
            part => Line::Request(input.arbitrary()?, part),
        },
        _ => match part(input)? {
            Part::End | Part::Cancel | Part::Err(_, Code::Disconnected) => {
                return Err(arbitrary::Error::IncorrectFormat);
            }
            part => Line::Reply(input.arbitrary()?, part),
        },
    })
}

fn name(input: &mut Unstructured<'_>) -> Result<Name> {
    let len = input.int_in_range(1..=Name::BYTES_MAX)?;
    Name::parse(&word(input, len)?).map_err(|_| arbitrary::Error::IncorrectFormat)
}

fn format(input: &mut Unstructured<'_>) -> Result<Option<FormatWord>> {
    let len = input.int_in_range(0..=FormatWord::BYTES_MAX)?;
    Ok(FormatWord::parse(&word(input, len)?).ok())
}

fn word(input: &mut Unstructured<'_>, len: usize) -> Result<Vec<u8>> {
    (0..len).map(|_| input.int_in_range(b'!'..=b'~')).collect()
}
