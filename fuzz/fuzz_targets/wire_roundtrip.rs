//! Printing what was parsed gives the same bytes, but for blanks round a name, and parsing what was
//! printed the same line.

#![no_main]

use arbitrary::{Result, Unstructured};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use switchboard::wire::{CodeWord, FormatWord, Line, Metadata, Name, Options, Part};
use switchboard::Code;

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
        Ok(match input.int_in_range(0..=6)? {
            0 => Part::Item(input.arbitrary()?),
            1 => Part::Credit(input.int_in_range(1..=u32::MAX)?),
            2 => Part::End,
            3 => Part::Cancel,
            4 => Part::Ok(input.arbitrary()?),
            5 => Part::Open,
            _ => Part::Err(input.arbitrary()?, CodeWord::from(*input.choose(Code::ALL)?)),
        })
    };
    Ok(match input.int_in_range(0..=3)? {
        0 => Line::Plain { name: name(input)?, format: format(input)? },
        1 => Line::Call {
            name: name(input)?,
            tag: input.arbitrary()?,
            len: input.arbitrary()?,
            options: Options::new(format(input)?, input.arbitrary()?)
                .with_metadata(&some_metadata(input)?),
        },
        2 => match part(input)? {
            Part::Ok(_) | Part::Err(..) | Part::Open => {
                return Err(arbitrary::Error::IncorrectFormat);
            }
            part => Line::Request(input.arbitrary()?, part, metadata(input)?),
        },
        _ => match part(input)? {
            Part::End | Part::Cancel => return Err(arbitrary::Error::IncorrectFormat),
            part => Line::Reply(input.arbitrary()?, part, metadata(input)?),
        },
    })
}

fn metadata(input: &mut Unstructured<'_>) -> Result<Options> {
    Ok(Options::default().with_metadata(&some_metadata(input)?))
}

fn some_metadata(input: &mut Unstructured<'_>) -> Result<Metadata> {
    let mut metadata = Metadata::default();
    for key in ["a-b", "tenant-id", "x-"] {
        if input.arbitrary()? {
            let value: &str = input.arbitrary()?;
            if let Ok(more) = metadata.clone().with(key, value) {
                assert_eq!(more.get(key).as_deref(), Some(value));
                metadata = more;
            }
        }
    }
    Ok(metadata)
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
