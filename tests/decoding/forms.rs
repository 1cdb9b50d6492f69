//! Payloads that stand for something in a form of its own.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use switchboard::format::{Bincode, Codec, Format, Framing, Json, Line};
use switchboard::{Code, Limits};

use crate::checks::{check, decode, encode};

/// A variant without content is a word, or has a null.
#[test]
fn a_unit_variant_takes_its_null() {
    #[derive(Deserialize, Serialize, PartialEq, Debug)]
    enum Light {
        Green,
        Red,
    }
    let lights: Vec<Light> = decode::<Json, _>(&br#"["Green",{"Red":null}]"#[..]).unwrap();
    assert_eq!(lights, [Light::Green, Light::Red]);
    check::<Json, Light>(&br#"{"Red":7}"#[..], Code::BadPayload, "the payload is not valid json");
}

/// A type with a form for people and one for programs is told which it is.
#[test]
fn addresses_are_text_in_json_and_bytes_in_bincode() {
    let address = std::net::Ipv4Addr::new(10, 0, 0, 1);
    let back = decode::<Json, std::net::Ipv4Addr>(Bytes::from_static(br#""10.0.0.1""#));
    assert_eq!(back.unwrap(), address);
    let back = decode::<Bincode, std::net::Ipv4Addr>(Bytes::from_static(&[10, 0, 0, 1]));
    assert_eq!(back.unwrap(), address);
}

#[test]
fn white_space_around_json_is_allowed() {
    assert_eq!(decode::<Json, u64>(Bytes::from_static(b" 7 \n")).unwrap(), 7);
}

#[test]
fn lines_with_ends_in_them_are_not_written() {
    for (text, reason) in [("a\n", "line feed"), ("\ra", "carriage return"), ("a\0b", "NUL")] {
        let mut out = BytesMut::new();
        let error = Line::encode(&text.to_owned(), &Limits::default(), &mut out).unwrap_err();
        assert_eq!(error.code(), Code::BadPayload);
        assert!(error.text().contains(reason), "{error}");
        assert!(out.is_empty());
    }
    let text = "any other text, \u{85}\u{2028}\t".to_owned();
    assert_eq!(decode::<Line, String>(encode::<Line, _>(&text)).unwrap(), text);
}

#[test]
fn serde_formats_are_spoken_in_json_and_gob_too() {
    let spoken = [
        ("json", Framing::Line),
        #[cfg(feature = "gob")]
        ("gob", Framing::Gob),
    ];
    let alternatives = |codecs: Vec<Codec<_>>| -> Vec<_> {
        codecs.iter().map(|codec| (codec.name, codec.framing)).collect()
    };
    assert_eq!(alternatives(<Bincode as Format<String>>::alternatives()), spoken);
    assert_eq!(alternatives(<Json as Format<String>>::alternatives()), spoken);
    assert_eq!(alternatives(Line::alternatives()), spoken);
    #[cfg(feature = "postcard")]
    assert_eq!(
        alternatives(<switchboard::format::Postcard as Format<String>>::alternatives()),
        spoken
    );
    #[cfg(feature = "gob")]
    assert_eq!(alternatives(<switchboard::format::Gob as Format<String>>::alternatives()), spoken);
    assert!(switchboard::format::Bytes::alternatives().is_empty());
}
