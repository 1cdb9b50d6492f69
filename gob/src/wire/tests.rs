//! Numbers and their bytes, as the documentation of Go has them.

use super::*;

#[test]
fn numbers_are_those_of_the_documentation() {
    // From "Encoding Details" of Go's documentation, and the edges of each length.
    let uints: [(u64, &[u8]); 8] = [
        (0, &[0]),
        (7, &[7]),
        (127, &[0x7f]),
        (128, &[0xff, 0x80]),
        (256, &[0xfe, 1, 0]),
        (u64::from(u32::MAX), &[0xfc, 0xff, 0xff, 0xff, 0xff]),
        (1 << 56, &[0xf8, 1, 0, 0, 0, 0, 0, 0, 0]),
        (u64::MAX, &[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (value, bytes) in uints {
        let mut out = Vec::new();
        put_uint(&mut out, value);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(Reader::new(bytes, 0).uint().unwrap(), value);
        for len in 0..bytes.len() {
            assert_eq!(split_uint(&bytes[..len]), Ok(None), "{value} cut after {len}");
            assert!(Reader::new(&bytes[..len], 0).uint().is_err());
        }
    }
    let ints: [(i64, &[u8]); 6] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (-129, &[0xfe, 0x01, 0x01]),
        (i64::MAX, &[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
        (i64::MIN, &[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (value, bytes) in ints {
        let mut out = Vec::new();
        put_int(&mut out, value);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(Reader::new(bytes, 0).int().unwrap(), value);
    }
    for (value, bytes) in [(17.0, &[0xfe_u8, 0x31, 0x40][..]), (0.0, &[0])] {
        let mut out = Vec::new();
        put_float(&mut out, value);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(Reader::new(bytes, 0).float().unwrap().to_bits(), value.to_bits());
    }
}

#[test]
fn errors_say_where() {
    // (bytes, the error of reading a byte string that begins at byte 5 of the stream)
    let cases: [(&[u8], &str); 4] = [
        (&[], "the message ends in a number, at byte 5"),
        (&[0xf0, 1], "a number of more than 8 bytes, at byte 5"),
        (&[3, 1, 2], "a count of 3 where 2 bytes are left, at byte 5"),
        (&[0xfe, 1], "the message ends in a number, at byte 5"),
    ];
    for (bytes, text) in cases {
        let error = Reader::new(bytes, 5).bytes().unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}
