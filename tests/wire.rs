//! The wire from outside: what is a line, what is none, and that neither depends on how the bytes
//! arrive.
//!
//! `SWITCHBOARD_SCALE` multiplies the number of random rounds; a round that fails prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that goes wrong may panic"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use switchboard::Code;
use switchboard::wire::{
    CodeWord, Decoder, Event, Flaw, FormatWord, Line, Metadata, Name, Options, Outbox, Part,
    Position, Tag, Traceparent,
};
use switchboard_testing::random::{Random, rounds};

#[test]
fn every_form_of_line_is_read_and_printed_back() {
    let name = Name::new("GREET");
    let word = |text: &str| FormatWord::parse(text.as_bytes()).unwrap();
    let none = Options::default();
    let call = |tag, len, options| Line::Call { name, tag, len, options };
    let plain = |format| Line::Plain { name, format };

    check("GREET", &plain(None));
    check("GREET json", &plain(Some(word("json"))));
    check("GREET HTTP/1.1", &plain(Some(word("HTTP/1.1"))));
    check("GREET abcdefghijklmnop", &plain(Some(word("abcdefghijklmnop"))));
    check("GREET 1 0", &call(1, 0, none.clone()));
    check("GREET 0 7", &call(0, 7, none.clone()));
    check("GREET 4294967295 18446744073709551615", &call(Tag::MAX, u64::MAX, none));
    check("GREET 1 2 f=json", &call(1, 2, Options::new(Some(word("json")), None)));
    check("GREET 1 2 t=250", &call(1, 2, Options::new(None, Some(250))));
    check("GREET 1 2 f=b t=0", &call(1, 2, Options::new(Some(word("b")), Some(0))));
    check(">1 item 3", &request(1, Part::Item(3)));
    check(">1 end", &request(1, Part::End));
    check(">4294967295 cancel", &request(Tag::MAX, Part::Cancel));
    check(">0 credit 4294967295", &request(0, Part::Credit(u32::MAX)));
    check("<1 ok 0", &reply(1, Part::Ok(0)));
    check("<1 item 18446744073709551615", &reply(1, Part::Item(u64::MAX)));
    check("<1 credit 1", &reply(1, Part::Credit(1)));
    check("<1 open", &reply(1, Part::Open));
    for code in Code::ALL.iter().copied() {
        check(&format!("<0 err 15 {code}"), &reply(0, Part::Err(15, code.into())));
    }
    let word = CodeWord::parse(b"too-late_for_that").unwrap();
    check("<1 err 3 too-late_for_that", &reply(1, Part::Err(3, word)));

    fn request(tag: Tag, part: Part) -> Line {
        Line::Request(tag, part, Options::default())
    }

    fn reply(tag: Tag, part: Part) -> Line {
        Line::Reply(tag, part, Options::default())
    }

    fn check(text: &str, line: &Line) {
        assert_eq!(Line::parse(text.as_bytes()).as_ref(), Ok(line), "{text}");
        for end in ["\n", "\r\n"] {
            let events = decode_all(1024, 1024, &[format!("{text}{end}").as_bytes()]).0;
            assert_eq!(events[0], Event::Line(line.clone()), "{text:?} with {end:?}");
        }
        let mut printed = BytesMut::from("before");
        line.encode(&mut printed);
        assert_eq!(printed, format!("before{text}\n").as_bytes());
    }
}

#[test]
fn a_name_alone_may_have_blanks_round_it() {
    let greet = Line::Plain { name: Name::parse(b"GREET").unwrap(), format: None };
    for text in ["GREET ", " GREET", "   GREET  "] {
        let events = decode_all(1024, 1024, &[format!("{text}\r\n").as_bytes()]).0;
        assert_eq!(events[0], Event::Line(greet.clone()), "{text:?}");
        let mut printed = BytesMut::new();
        greet.encode(&mut printed);
        assert_eq!(printed, &b"GREET\n"[..]);
    }
}

#[test]
fn names_are_words_of_printable_ascii() {
    let longest = "n".repeat(Name::BYTES_MAX);
    for name in ["A", "?", "?commands", "=", "a<b>9", "~!", &longest] {
        check(name, Ok(name.starts_with('?')));
    }
    check("", Err(Flaw::EmptyWord));
    check(&"n".repeat(Name::BYTES_MAX + 1), Err(Flaw::NameTooLong));
    check("<A", Err(Flaw::NameBegin(b'<')));
    check(">A", Err(Flaw::NameBegin(b'>')));
    check("0A", Err(Flaw::NameBegin(b'0')));
    check("9", Err(Flaw::NameBegin(b'9')));
    check("A B", Err(Flaw::ControlByte(b' ')));
    check("A\tB", Err(Flaw::ControlByte(b'\t')));
    check("A\u{7f}", Err(Flaw::ControlByte(0x7f)));
    check("É", Err(Flaw::ControlByte(0xc3)));

    fn check(text: &str, expected: Result<bool, Flaw>) {
        let name = Name::parse(text.as_bytes());
        assert_eq!(name.map(|name| name.is_reserved()), expected, "{text:?}");
        if let Ok(name) = name {
            assert_eq!(name.as_str(), text);
            assert_eq!(name.to_string(), text);
        }
    }
}

#[test]
fn a_word_that_is_written_alone_is_read_or_told_what_is_wrong() {
    let name = |text: &str| check(text, |name: &Name| name.as_str());
    name("jobs.ADD").unwrap();
    name("?PING").unwrap();
    let told = |text: &str| name(text).unwrap_err().to_string();
    assert_eq!(told(""), "a word is empty: words are separated by one space each");
    assert_eq!(told(&"n".repeat(65)), "the name is longer than 64 bytes");
    assert_eq!(told("7A"), "a name cannot begin with '7'");
    assert_eq!(told("A B"), "a space in a word");
    assert_eq!(told("A\tB"), "byte 0x09 in a line, which is printable ASCII");

    let format = |text: &str| check(text, |word: &FormatWord| word.as_str());
    format("json").unwrap();
    format("x-ß").unwrap_err();
    for text in ["7z", "abcdefghijklmnopq"] {
        let told = "a format is a word of at most 16 bytes that does not begin with a digit";
        assert_eq!(format(text).unwrap_err().to_string(), told, "{text}");
    }

    let code = |text: &str| check(text, |word: &CodeWord| word.as_str());
    code("not_found").unwrap();
    code("of_a-later_time").unwrap();
    for text in ["", "Failed", "e404", "a b", &"z".repeat(33)] {
        let told = "an error code is 1 to 32 letters a to z, _ and -";
        assert_eq!(code(text).unwrap_err().to_string(), told, "{text}");
    }

    /// Reads a word, which is printed as it was written.
    fn check<W>(text: &str, word_text: fn(&W) -> &str) -> Result<(), Flaw>
    where
        W: std::str::FromStr<Err = Flaw> + std::fmt::Display,
    {
        let word: W = text.parse()?;
        assert_eq!((word_text(&word), &*word.to_string()), (text, text));
        Ok(())
    }
}

#[test]
fn every_flaw_is_found() {
    check(&"n".repeat(65), Flaw::NameTooLong);
    for (text, flaw) in FLAWS {
        check(text, *flaw);
    }
    for (text, takes, came) in OPTIONS {
        let flaw = Line::parse(text.as_bytes()).unwrap_err();
        assert_eq!(flaw.to_string(), format!("{takes}, not {came}"), "{text}");
        check(text, flaw);
    }
    for (text, key) in GIVEN_TWICE {
        let flaw = Line::parse(text.as_bytes()).unwrap_err();
        assert_eq!(flaw.to_string(), format!("the option {key}= is given twice"), "{text}");
        check(text, flaw);
    }

    fn check(text: &str, flaw: Flaw) {
        assert_eq!(Line::parse(text.as_bytes()), Err(flaw), "{text:?}");
        let bytes = format!("{text}\n");
        let (events, found) = decode_all(1024, 1024, &[bytes.as_bytes()]);
        assert_eq!((events.len(), found), (0, Some(flaw)), "{text:?}");
        assert_eq!(flaw.is_foreign(), flaw == Flaw::Http, "{text:?}");
        assert!(!flaw.to_string().contains(char::is_control), "{text:?}");
    }
}

#[test]
fn options_mean_what_they_say() {
    let options = |text: &str| match Line::parse(format!("GREET 1 3 {text}").as_bytes()) {
        Ok(Line::Call { options, .. }) => options,
        other => panic!("{text}: {other:?}"),
    };
    let all = options("x= trace=00-ab-cd-01 t=250 colour=a=b stream=1 f=json x=2");
    assert_eq!(all.format(), FormatWord::parse(b"json").ok());
    assert_eq!(all.time_ms(), Some(250));
    assert!(all.is_stream());
    assert_eq!(all.trace(), Some(&b"00-ab-cd-01"[..]));
    assert_eq!(all.as_bytes(), b"x= trace=00-ab-cd-01 t=250 colour=a=b stream=1 f=json x=2");
    let strange = options("http_version=HTTP/1.1");
    assert_eq!((strange.format(), strange.time_ms(), strange.trace()), (None, None, None));
    assert!(!strange.is_stream());
    assert_eq!(strange.as_bytes(), b"http_version=HTTP/1.1");
    assert_eq!(options("t=18446744073709551615").time_ms(), Some(u64::MAX));
    assert_eq!(options("trace=").trace(), Some(&b""[..]));
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace: Traceparent = text.parse().unwrap();
    let traced = options("trace=x a-b=1 f=line x=").with_trace(&trace);
    assert_eq!(traced.as_bytes(), format!("a-b=1 f=line x= trace={text}").as_bytes());
    assert_eq!(traced.trace().and_then(Traceparent::parse), Some(trace));
    let json = FormatWord::parse(b"json").unwrap();
    let long = format!("trace={} a-b=1 f=line x=", "t".repeat(Traceparent::BYTES_MAX + 1));
    let metadata = Metadata::default().with("c-d", "2").unwrap();
    let changed = options(&long).with_format(json).with_metadata(&metadata);
    let expected = long.replace(" a-b=1", "").replace(" f=line", "") + " f=json c-d=2";
    assert_eq!(changed.as_bytes(), expected.as_bytes(), "all else stays, however long");
}

#[test]
fn options_of_an_error_mean_what_they_say() {
    let options = |text: &str| match Line::parse(format!("<1 err 9 failed {text}").as_bytes()) {
        Ok(Line::Reply(1, Part::Err(9, _), options)) => options,
        other => panic!("{text}: {other:?}"),
    };
    let all = options("x=1 d=9 retry=250 request-id=a%20b ran=1 x=2");
    assert_eq!((all.details_bytes(), all.has_run()), (9, true));
    assert_eq!(all.retry_after(), Some(Duration::from_millis(250)));
    assert_eq!(all.metadata().get("request-id").as_deref(), Some("a b"));
    assert_eq!(all.metadata().get("x"), None, "a key of the protocol");
    let none = options("t=1 f=7z n=x");
    assert_eq!((none.details_bytes(), none.has_run(), none.retry_after()), (0, false, None));
    assert!(none.metadata().is_empty());
}

#[test]
fn metadata_is_text_within_bounds() {
    for value in ["", "42", "a b", "50 % off", "é\n\0", "%2F", "a=b"] {
        let metadata = Metadata::default().with("some-key", value).unwrap();
        assert_eq!(metadata.get("some-key").as_deref(), Some(value));
        let text = format!("GREET 1 3 {metadata}");
        match Line::parse(text.as_bytes()) {
            Ok(Line::Call { options, .. }) => assert_eq!(options.metadata(), metadata, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let two = Metadata::default().with("b-", "1").unwrap().with("-a", "2").unwrap();
    let pairs: Vec<_> = two.iter().map(|(key, value)| (key, value.into_owned())).collect();
    assert_eq!(pairs, [("b-", "1".to_owned()), ("-a", "2".to_owned())]);
    for key in ["", "tenant", "Tenant-Id", "a b-c", "a-1", "a-=", &"a-".repeat(17)] {
        let text = "is not a key of metadata: 1 to 32 of a to z, _ and -, with a -";
        check_refused(Metadata::default().with(key, ""), &format!("{key:?} {text}"));
    }
    check_refused(two.clone().with("b-", "3"), "metadata has b- already");
    let long = |bytes: usize| Metadata::default().with("x-", &"v".repeat(bytes));
    assert!(long(Metadata::BYTES_MAX - 2).is_ok());
    let large = "metadata would have 4097 bytes of keys and values, over 4096";
    check_refused(long(Metadata::BYTES_MAX - 1), large);
    check_refused(Metadata::default().with("x-", &" ".repeat(1365)), large);
    let full = (b'a'..=b'p').try_fold(Metadata::default(), |metadata, letter| {
        metadata.with(&format!("{}-", char::from(letter)), "")
    });
    check_refused(full.unwrap().with("q-", ""), "metadata would have 17 keys, over 16");
    let many = |count: usize| {
        let keys = (0..count).map(|n| format!(" x-{}=", "abcdefghijklmnopq".get(n..=n).unwrap()));
        Line::parse(format!("GREET 1 3{}", keys.collect::<String>()).as_bytes()).map(drop)
    };
    assert_eq!(many(Metadata::KEYS_MAX), Ok(()));
    assert_eq!(many(Metadata::KEYS_MAX + 1), Err(Flaw::Metadata));
    let large = |bytes: usize| {
        let text = format!("GREET 1 3 x-={} y-=%20", "v".repeat(bytes - 7));
        Line::parse(text.as_bytes()).map(drop)
    };
    assert_eq!(large(Metadata::BYTES_MAX), Ok(()));
    assert_eq!(large(Metadata::BYTES_MAX + 1), Err(Flaw::Metadata));

    fn check_refused(metadata: switchboard::Result<Metadata>, text: &str) {
        let error = metadata.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Invalid, text));
    }
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
    let too_long = Some(Flaw::LineTooLong { line_bytes_max: 10 });
    check(b"123456789\n", Some(Flaw::NameBegin(b'1')));
    check(b"abcdefghi\n", None);
    check(b"abcdefgh\r\n", None);
    check(b"abcdefghij\n", too_long);
    check(b"abcdefghi\r\n", too_long);
    check(b"abcdefghij\r\n", too_long);
    check(b"abcdefghij", too_long);
    check(b"abcdefghi\rX", too_long);
    check(b"abcdefghij\x01", too_long);
    check(b"abcdefghi\x01", Some(Flaw::ControlByte(1)));
    check(b"abcdefgh\rX", Some(Flaw::ControlByte(b'\r')));
    check(b"abcdefgh\r\r", Some(Flaw::ControlByte(b'\r')));

    fn check(bytes: &[u8], flaw: Option<Flaw>) {
        let whole = decode_all(10, 0, &[bytes]);
        assert_eq!(whole.1, flaw, "{bytes:?}");
        assert_eq!(whole.0.len(), usize::from(flaw.is_none()), "{bytes:?}");
        let pieces: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(decode_all(10, 0, &pieces), whole, "{bytes:?} byte by byte");
    }
}

#[test]
fn an_endless_line_is_refused_at_the_limit() {
    let mut decoder = Decoder::new(1024, 1024);
    let mut input = BytesMut::new();
    for arrived in 1..1024 {
        input.extend_from_slice(b"x");
        assert_eq!(decoder.decode(&mut input), Ok(None), "after {arrived} bytes");
        assert_eq!(decoder.position(&input), Position::Line);
    }
    input.extend_from_slice(b"x");
    let flaw = Flaw::LineTooLong { line_bytes_max: 1024 };
    assert_eq!(decoder.decode(&mut input), Err(flaw));
    assert_eq!(decoder.decode(&mut input), Err(flaw), "a flaw stays");
    assert_eq!(decoder.units(), 0);
}

#[test]
fn a_byte_that_was_looked_at_is_not_looked_at_again() {
    // What was looked at is overwritten with bytes that no line may hold: whoever looked again
    // would find them before the end.
    let mut decoder = Decoder::new(1024, 1024);
    let mut input = BytesMut::from("GREET");
    assert_eq!(decoder.decode(&mut input), Ok(None));
    input[..5].fill(0);
    input.extend_from_slice(b" 1");
    assert_eq!(decoder.decode(&mut input), Ok(None));
    input[..7].fill(0);
    input.extend_from_slice(b"\x07");
    assert_eq!(decoder.decode(&mut input), Err(Flaw::ControlByte(7)));
}

#[test]
fn an_announcement_reserves_no_memory() {
    for len in [1 << 63, u64::MAX, 1 << 40] {
        let mut decoder = Decoder::new(1024, usize::MAX);
        let mut input = BytesMut::from(format!("GREET 1 {len}\nsome of it").as_bytes());
        assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(_)))));
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!(decoder.position(&input), Position::Body);
        assert_eq!(input, "some of it");
        assert!(input.capacity() < 1024, "{} bytes for {len}", input.capacity());
    }
}

#[test]
fn a_body_over_the_limit_is_taken_if_it_is_wanted() {
    let mut decoder = Decoder::new(1024, 4);
    let mut input = BytesMut::from("GREET 1 10\n01234567");
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(_)))));
    assert!(decoder.is_skipping());
    decoder.take_body();
    assert!(!decoder.is_skipping());
    assert_eq!(decoder.missing_body_bytes(&input), 2);
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!((decoder.position(&input), decoder.units()), (Position::Body, 1));
    input.extend_from_slice(b"89GREET 2 5\n01234NEXT\n");
    let body = Bytes::from_static(b"0123456789");
    assert_eq!(decoder.decode(&mut input), Ok(Some(Event::Body(body))));
    // It was that one alone.
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(Line::Call { .. })))));
    assert!(decoder.is_skipping());
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(Line::Plain { .. })))));
    // Where no body is dropped there is none to take.
    decoder.take_body();
    assert_eq!(decoder.position(&input), Position::Boundary);
}

#[test]
fn a_body_over_the_limit_is_dropped_as_it_comes() {
    let mut decoder = Decoder::new(1024, 4);
    let mut input = BytesMut::from("GREET 1 1000005\n");
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(_)))));
    for _ in 0..1000 {
        input.extend_from_slice(&[b'\n'; 1000]);
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!(decoder.position(&input), Position::Body);
        assert!(input.is_empty() && input.capacity() < 64 * 1024);
    }
    assert_eq!(decoder.units(), 1);
    input.extend_from_slice(b"dummyNEXT\n");
    let next = Line::Plain { name: Name::new("NEXT"), format: None };
    assert_eq!(decoder.decode(&mut input), Ok(Some(Event::Line(next))));
    assert_eq!(decoder.units(), 3);
    assert_eq!(decoder.position(&input), Position::Boundary);
}

#[test]
fn the_missing_bytes_of_a_body_are_known() {
    let mut decoder = Decoder::new(1024, 100);
    let mut input = BytesMut::from("GREET 1 10\n123");
    assert_eq!(decoder.missing_body_bytes(&input), 0);
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(_)))));
    assert_eq!(decoder.missing_body_bytes(&input), 7);
    input.extend_from_slice(b"4567890>");
    assert_eq!(decoder.missing_body_bytes(&input), 0);
    let body = Bytes::from_static(b"1234567890");
    assert_eq!(decoder.decode(&mut input), Ok(Some(Event::Body(body))));
    assert_eq!(decoder.missing_body_bytes(&input), 0);
    assert_eq!(decoder.position(&input), Position::Line);
}

#[test]
fn what_follows_a_plain_call_can_be_taken() {
    let mut decoder = Decoder::new(1024, 100);
    let mut input = BytesMut::from("STRING\n\x00\x16 no line at all\nGREET 1 2\nhi");
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(Line::Plain { .. })))));
    input.advance(18);
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(Line::Call { .. })))));
    let body = Bytes::from_static(b"hi");
    assert_eq!(decoder.decode(&mut input), Ok(Some(Event::Body(body))));
}

#[test]
fn any_split_gives_the_same() {
    for seed in 0..rounds(400) {
        let mut random = Random::new(seed);
        let stream = stream(&mut random);
        let skip = random.below(4) == 0;
        let (line_max, body_max) = (16 + random.below(80), random.below(64));
        let whole = decode_with(line_max, body_max, skip, &[&stream]);
        for _ in 0..8 {
            let mut rest = &stream[..];
            let mut pieces = Vec::new();
            let piece_max = [1, 3, 40][random.below(3)];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at((1 + random.below(piece_max)).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            let split = decode_with(line_max, body_max, skip, &pieces);
            assert_eq!(split, whole, "seed {seed}: {:?}", stream.escape_ascii().to_string());
        }
    }
}

/// Whatever bytes of a good one are others, cut off or repeated.
#[test]
fn a_traceparent_that_is_read_is_printed_as_it_came() {
    let good = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
    let mut read = 0;
    for seed in 0..rounds(20_000) {
        let mut random = Random::new(seed);
        let mut text = good[..[52, 55, 55, 56, 60][random.below(5)]].to_vec();
        for _ in 0..random.below(3) {
            let alphabet = b"00af9fFg-+ \x00\xff";
            let place = random.below(text.len());
            text[place] = alphabet[random.below(alphabet.len())];
        }
        if let Some(trace) = Traceparent::parse(&text) {
            assert_eq!(trace.to_string().as_bytes(), text, "seed {seed}");
            trace.child().to_string().parse::<Traceparent>().unwrap();
            read += 1;
        }
    }
    assert!(read > 1000, "only {read} were read");
}

#[test]
fn every_hostile_file_has_its_flaw() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile/wire");
    let mut known = BTreeSet::new();
    let others = HOSTILE.iter().map(|(file, flaw)| (*file, Some(*flaw)));
    for (file, flaw) in others.chain(HOSTILE_OPTIONS.iter().map(|file| (*file, None))) {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let whole = decode_all(8192, 1024, &[&bytes]);
        match flaw {
            Some(flaw) => assert_eq!(whole.1, Some(flaw), "{file}"),
            None => assert!(matches!(whole.1, Some(Flaw::Option(_))), "{file}: {whole:?}"),
        }
        let pieces: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(decode_all(8192, 1024, &pieces), whole, "{file} byte by byte");
        assert!(known.insert(file.to_owned()), "{file} is listed twice");
    }
    let found: BTreeSet<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, known);
}

#[test]
fn the_outbox_keeps_the_order_and_copies_nothing_large() {
    for seed in 0..rounds(100) {
        let mut random = Random::new(seed);
        let (mut outbox, mut expected, mut written) = (Outbox::default(), Vec::new(), Vec::new());
        for _ in 0..random.below(20) {
            let body = vec![b'a' + u8::try_from(seed % 26).unwrap(); random.below(40_000)];
            let len = body.len().try_into().unwrap();
            let line = Line::Reply(1, Part::Ok(len), Options::default());
            outbox.push_line(&line);
            expected.extend_from_slice(format!("<1 ok {}\n", body.len()).as_bytes());
            expected.extend_from_slice(&body);
            let place = body.as_ptr();
            let is_large = body.len() > 16 * 1024;
            outbox.push_body(body);
            let mut slices = [std::io::IoSlice::new(&[]); 64];
            let count = outbox.chunks_vectored(&mut slices);
            assert_eq!(slices[count - 1].as_ptr() == place, is_large, "seed {seed}");
            if random.below(3) == 0 {
                let count = random.below(outbox.len() + 1);
                written.extend_from_slice(&outbox.copy_to_bytes(count));
            }
            assert_eq!(outbox.len(), outbox.remaining());
            assert_eq!(outbox.len(), expected.len() - written.len());
            let mut slices = [std::io::IoSlice::new(&[]); 64];
            let count = outbox.chunks_vectored(&mut slices);
            let bytes: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            assert_eq!(bytes, outbox.len());
        }
        written.extend_from_slice(&outbox.copy_to_bytes(outbox.len()));
        assert!(written == expected, "seed {seed}");
        assert!(outbox.is_empty() && !outbox.has_remaining());
    }
}

/// What is wrong with each line.
const FLAWS: &[(&str, Flaw)] = &[
    ("", Flaw::EmptyLine),
    (" ", Flaw::EmptyWord),
    ("   ", Flaw::EmptyWord),
    (" GREET json", Flaw::EmptyWord),
    (" GREET 1 3", Flaw::EmptyWord),
    (" 7UP", Flaw::NameBegin(b'7')),
    (" <0 ok 0", Flaw::EmptyWord),
    ("GREET  json", Flaw::EmptyWord),
    ("GREET json ", Flaw::EmptyWord),
    ("GREET  1 3", Flaw::EmptyWord),
    ("GREET 1  3", Flaw::EmptyWord),
    ("GREET 1 3 ", Flaw::EmptyWord),
    ("GREET 1 3  t=1", Flaw::EmptyWord),
    ("GREET 1 3 t=1 ", Flaw::EmptyWord),
    (">1  end", Flaw::EmptyWord),
    (">1 end ", Flaw::EmptyWord),
    ("<1 ok 3 ", Flaw::EmptyWord),
    ("1GREET", Flaw::NameBegin(b'1')),
    ("7", Flaw::NameBegin(b'7')),
    // Tags.
    ("GREET 01 3", Flaw::Tag),
    ("GREET 1x 3", Flaw::Tag),
    ("GREET 4294967296 3", Flaw::Tag),
    ("GREET 99999999999999999999999 3", Flaw::Tag),
    ("GREET +1 3", Flaw::WordCount),
    ("GREET -1 3", Flaw::WordCount),
    (">+1 end", Flaw::Tag),
    (">-1 end", Flaw::Tag),
    (">00 end", Flaw::Tag),
    ("> 1 end", Flaw::Tag),
    (">x end", Flaw::Tag),
    ("<", Flaw::Tag),
    (">>1 end", Flaw::Tag),
    ("<4294967296 ok 1", Flaw::Tag),
    // Lengths.
    ("GREET 1", Flaw::WordCount),
    ("GREET 1 +3", Flaw::Length),
    ("GREET 1 -3", Flaw::Length),
    ("GREET 1 03", Flaw::Length),
    ("GREET 1 0x3", Flaw::Length),
    ("GREET 1 18446744073709551616", Flaw::Length),
    ("GREET 1 3.0", Flaw::Length),
    (">1 item 00", Flaw::Length),
    ("<1 ok 18446744073709551616", Flaw::Length),
    ("<1 err 01 failed", Flaw::Length),
    ("<1 item one", Flaw::Length),
    // Credit.
    (">1 credit 4294967296", Flaw::Credit),
    (">1 credit 0", Flaw::Credit),
    ("<1 credit 0", Flaw::Credit),
    (">1 credit 01", Flaw::Credit),
    ("<1 credit -1", Flaw::Credit),
    // Verbs and codes.
    (">1 ok 3", Flaw::Verb),
    (">1 err 3 failed", Flaw::Verb),
    (">1 Cancel", Flaw::Verb),
    ("<1 end", Flaw::Verb),
    ("<1 cancel", Flaw::Verb),
    ("<1 OK 3", Flaw::Verb),
    ("<1 err 3 Failed", Flaw::Code),
    ("<1 err 3 e404", Flaw::Code),
    ("<1 err 3 abcdefghijklmnopqrstuvwxyzabcdefg", Flaw::Code),
    (">1 open", Flaw::Verb),
    // Words.
    (">1", Flaw::WordCount),
    (">1 item", Flaw::WordCount),
    ("<1 err 3", Flaw::WordCount),
    ("<1 credit", Flaw::WordCount),
    ("GREET json 3", Flaw::WordCount),
    ("GREET abcdefghijklmnopq", Flaw::FormatWord),
    // Options: see `OPTIONS`.
    ("<1 err 3 failed d=4", Flaw::Details),
    // Kept free.
    ("{\"jsonrpc\":\"2.0\"}", Flaw::NameBegin(b'{')),
    ("[1]", Flaw::NameBegin(b'[')),
    // Other protocols.
    ("GET / HTTP/1.1", Flaw::Http),
    ("POST /GREET HTTP/1.0", Flaw::Http),
    ("OPTIONS * HTTP/1.1", Flaw::Http),
    ("GET /a path with spaces HTTP/1.1", Flaw::Http),
    ("HTTP/1.1 400 Bad Request", Flaw::Http),
    ("HTTP/1.0 200 OK", Flaw::Http),
    ("PRI * HTTP/2.0", Flaw::Http),
    ("GREET 1 HTTP/1.1", Flaw::Http),
];

/// What is told of each option that is none: what it takes, by its name, and what came.
const OPTIONS: &[(&str, &str, &str)] = &[
    (">1 item 3 4", PAIR, r#""4""#),
    (">1 end now", PAIR, r#""now""#),
    ("<1 err 3 failed twice", PAIR, r#""twice""#),
    ("GREET 1 3 t", PAIR, r#""t""#),
    ("GREET 1 3 =1", PAIR, r#""=1""#),
    ("GREET 1 3 t=", TIME, r#""""#),
    ("GREET 1 3 t=-1", TIME, r#""-1""#),
    ("GREET 1 3 t=+1", TIME, r#""+1""#),
    ("GREET 1 3 t=01", TIME, r#""01""#),
    ("GREET 1 3 t=1s", TIME, r#""1s""#),
    ("GREET 1 3 t=18446744073709551616", TIME, r#""18446744073709551616""#),
    ("GREET 1 3 f=", FORMAT, r#""""#),
    ("GREET 1 3 f=1son", FORMAT, r#""1son""#),
    ("GREET 1 3 f=abcdefghijklmnopq", FORMAT, r#""abcdefghijklmnopq""#),
    ("GREET 1 3 stream=2", STREAM, r#""2""#),
    ("GREET 1 3 stream=", STREAM, r#""""#),
    ("GREET 1 3 credit=0", CREDIT, r#""0""#),
    ("GREET 1 3 from=x", FROM, r#""x""#),
    ("GREET 1 3 Colour=blue", PAIR, r#""Colour=blue""#),
    ("GREET 1 3 x2=blue", PAIR, r#""x2=blue""#),
    ("GREET 1 3 abcdefghijklmnopqrstuvwxyzabcdefg=", PAIR, r#""abcdefghijklmnopqrst".."#),
    ("<1 item 3 n=-1", POSITION, r#""-1""#),
    (">1 cancel code=7", CODE, r#""7""#),
    ("<1 err 3 failed ran=0", RAN, r#""0""#),
    ("<1 err 3 failed retry=1s", RETRY, r#""1s""#),
    ("<1 err 3 failed d=01", DETAILS, r#""01""#),
    ("GREET 1 3 a-b=%2", TEXT, r#""a-b=%2""#),
    ("GREET 1 3 a-b=%2f", TEXT, r#""a-b=%2f""#),
    ("<1 ok 3 a-b=%FF", TEXT, r#""a-b=%FF""#),
    (">1 end a-b=%", TEXT, r#""a-b=%""#),
    ("GREET 1 3 t=123456789012345678901234567890", TIME, r#""12345678901234567890".."#),
    ("GREET 1 3 ran", PAIR, r#""ran""#),
    ("GREET 1 3 stream=\"\\", STREAM, r#""\"\\""#),
];

const PAIR: &str = "an option is KEY=VALUE, its key 1 to 32 of a to z, _ and -";
const TIME: &str = "t= takes milliseconds, a decimal below 2^64 without leading zero";
const FORMAT: &str = "f= takes a format, 1 to 16 bytes that do not begin with a digit";
const STREAM: &str = "stream= takes 1";
const CREDIT: &str = "credit= takes bytes, a decimal from 1 below 2^32 without leading zero";
const FROM: &str = "from= takes a position, a decimal below 2^64 without leading zero";
const POSITION: &str = "n= takes a position, a decimal below 2^64 without leading zero";
const CODE: &str = "code= takes a code, 1 to 32 letters a to z, _ and -";
const RAN: &str = "ran= takes 1";
const RETRY: &str = "retry= takes milliseconds, a decimal below 2^64 without leading zero";
const DETAILS: &str = "d= takes bytes, a decimal of no more than the body's length";
const TEXT: &str = "a key with a - takes text, percent-encoded as in %2F";

/// The key that each line gives twice.
const GIVEN_TWICE: &[(&str, &str)] = &[
    ("GREET 1 3 t=1 t=1", "t"),
    ("GREET 1 3 f=json f=json", "f"),
    ("GREET 1 3 stream=1 stream=1", "stream"),
    ("GREET 1 3 trace=a trace=b", "trace"),
    ("<1 open n=1 n=1", "n"),
    ("GREET 1 3 a-b=1 a-b=1", "a-b"),
];

/// The files of `tests/data/hostile/wire` with an option that is none.
const HOSTILE_OPTIONS: &[&str] = &[
    "a-call-of-two-streams.bin",
    "a-call-that-grants-nothing.bin",
    "a-call-that-grants-over-32-bits.bin",
    "a-deadline-over-64-bits.bin",
    "a-metadata-key-given-twice.bin",
    "metadata-that-is-not-text.bin",
    "an-end-with-a-length.bin",
    "an-option-given-twice.bin",
];

/// What is wrong with each other file of `tests/data/hostile/wire`.
const HOSTILE: &[(&str, Flaw)] = &[
    ("a-byte-order-mark.bin", Flaw::ControlByte(0xef)),
    ("a-call-after-it-an-empty-line.bin", Flaw::EmptyLine),
    ("a-carriage-return-alone.bin", Flaw::ControlByte(b'\r')),
    ("a-code-with-a-capital-letter.bin", Flaw::Code),
    ("a-length-in-hexadecimal.bin", Flaw::Length),
    ("a-length-over-64-bits.bin", Flaw::Length),
    ("a-length-too-short-for-its-body.bin", Flaw::ControlByte(0xff)),
    ("a-credit-of-nothing.bin", Flaw::Credit),
    ("a-credit-over-32-bits.bin", Flaw::Credit),
    ("a-line-of-8193-bytes.bin", Flaw::LineTooLong { line_bytes_max: 8192 }),
    ("a-line-without-end.bin", Flaw::LineTooLong { line_bytes_max: 8192 }),
    ("a-name-that-begins-as-json.bin", Flaw::NameBegin(b'{')),
    ("details-longer-than-their-body.bin", Flaw::Details),
    ("a-name-of-65-bytes.bin", Flaw::NameTooLong),
    ("a-name-with-an-escape-sequence.bin", Flaw::ControlByte(0x1b)),
    ("a-name-with-a-zero-byte.bin", Flaw::ControlByte(0)),
    ("a-name-with-utf-8.bin", Flaw::ControlByte(0xc3)),
    ("a-space-at-the-end.bin", Flaw::EmptyWord),
    ("a-space-in-front.bin", Flaw::EmptyWord),
    ("a-tag-over-32-bits.bin", Flaw::Tag),
    ("a-tls-client-hello.bin", Flaw::Tls),
    ("an-end-in-place-of-a-reply.bin", Flaw::Verb),
    ("an-http-post-of-a-command.bin", Flaw::Http),
    ("an-item-of-a-tag-over-32-bits.bin", Flaw::Tag),
    ("an-item-without-a-length.bin", Flaw::WordCount),
];

/// Everything that comes out of `pieces`, and the flaw at the end if there is one.
fn decode_all(line_max: usize, body_max: usize, pieces: &[&[u8]]) -> (Vec<Event>, Option<Flaw>) {
    decode_with(line_max, body_max, false, pieces)
}

/// As `decode_all`, skipping the body of each second line if told so.
fn decode_with(
    line_max: usize,
    body_max: usize,
    skip: bool,
    pieces: &[&[u8]],
) -> (Vec<Event>, Option<Flaw>) {
    let mut decoder = Decoder::new(line_max, body_max);
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        let units = decoder.units();
        let mut calls = 0;
        loop {
            calls += 1;
            match decoder.decode(&mut input) {
                Ok(Some(event)) => {
                    if skip && matches!(&event, Event::Line(_)) && decoder.units().is_multiple_of(2)
                    {
                        decoder.skip_body();
                    }
                    events.push(event);
                }
                Ok(None) => break,
                Err(flaw) => return (events, Some(flaw)),
            }
        }
        assert!(calls <= decoder.units() - units + 1, "a call of decode without progress");
    }
    (events, None)
}

/// Lines and bodies, most of them good.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..random.below(12) {
        let tag = random.below(5);
        let len = random.below(80);
        let end = if random.below(4) == 0 { "\r\n" } else { "\n" };
        let (line, has_body) = match random.below(16) {
            0 => ("GREET".to_owned(), false),
            1 => ("GREET json".to_owned(), false),
            2 => (format!(">{tag} cancel"), false),
            3 => (format!(">{tag} item {len}"), true),
            4 => (format!("<{tag} item {len}"), true),
            5 => (format!("<{tag} err {len} failed"), true),
            6 => (format!("<{tag} credit {len}"), false),
            7 => (format!("GREET {tag} {len} t=5 f=json other=1"), true),
            8 => (format!("GREET {tag} {len} padding={}", "x".repeat(len)), true),
            9 if random.below(3) == 0 => ("GREET\x01".to_owned(), false),
            10 if random.below(3) == 0 => ("x".repeat(len), false),
            11 if random.below(3) == 0 => ("GREET \r".to_owned(), false),
            12..=13 => (format!("<{tag} ok {len}"), true),
            _ => (format!("GREET {tag} {len}"), true),
        };
        stream.extend_from_slice(line.as_bytes());
        stream.extend_from_slice(end.as_bytes());
        if has_body {
            stream.extend((0..len).map(|_| u8::try_from(random.below(256)).unwrap()));
        }
    }
    stream.truncate(stream.len() - random.below(10).min(stream.len()));
    stream
}
