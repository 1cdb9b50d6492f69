//! Times as Go's bytes, as text, and as those of the system.

use std::collections::BTreeMap;

use serde::de::value::StrDeserializer;

use super::*;

#[test]
fn bytes_are_those_of_go() {
    // (seconds, nanoseconds, offset, the bytes that Go 1.19 writes and reads)
    let cases: [(i64, u32, Option<i32>, &str); 9] = [
        (-EPOCH_SECONDS, 0, None, "01000000000000000000000000ffff"),
        (0, 0, None, "010000000e7791f70000000000ffff"),
        (0, 0, Some(0), "010000000e7791f700000000000000"),
        (1_000_000_000, 5, Some(7_200), "010000000eb32cc100000000050078"),
        (-1, 999_999_999, Some(-12_600), "010000000e7791f6ff3b9ac9ffff2e"),
        (0, 0, Some(1_172), "020000000e7791f70000000000001320"),
        // These Go writes in another way, which it reads as another offset.
        (0, 0, Some(-59), "020000000e7791f70000000000ffff01"),
        (0, 0, Some(-61), "020000000e7791f70000000000fffe3b"),
        (SECONDS_MAX, 0, None, "017fffffffffffffff00000000ffff"),
    ];
    for (seconds, nanoseconds, offset, hex) in cases {
        let time = Time::new(seconds, nanoseconds, offset).unwrap();
        let bytes = time.to_bytes();
        let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hex);
        assert_eq!(Time::from_bytes(&bytes).unwrap(), time);
        assert_eq!(time.unix_seconds(), seconds);
        assert_eq!(time.nanoseconds(), nanoseconds);
        assert_eq!(time.offset_seconds(), offset);
        for len in 0..bytes.len() {
            let text = Time::from_bytes(&bytes[..len]).map_err(|error| error.to_string());
            // Version 2 without its last byte has the wrong length as well.
            assert_eq!(text, Err("bytes that are no time".to_owned()), "{hex}, {len}");
        }
    }
    // What Go writes for -59 and -17,762 seconds.
    for (last, offset) in [([0, 0, 0xc5], -59), ([0xfe, 0xd8, 0xfe], -17_762)] {
        let mut bytes = vec![2, 0, 0, 0, 0x0e, 0x77, 0x91, 0xf7, 0, 0, 0, 0, 0];
        bytes.extend(last);
        assert_eq!(Time::from_bytes(&bytes).unwrap().offset_seconds(), Some(offset));
    }
}

#[test]
fn what_has_no_form_is_refused() {
    let cases = [
        (Time::new(SECONDS_MAX + 1, 0, None), "a time with 9223371974719179008 seconds"),
        (Time::new(0, 1_000_000_000, None), "a time with 1000000000 nanoseconds"),
        (Time::new(0, 0, Some(-60)), "a time with an offset of -60 seconds"),
        (Time::new(0, 0, Some(32_768 * 60)), "a time with an offset of 1966080 seconds"),
        (Time::from_bytes(&[3; 15]), "bytes that are no time"),
        (Time::from_bytes(&[1; 16]), "bytes that are no time"),
        // Before the first second that an i64 can count from 1970.
        (Time::from_bytes(&[1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "bytes that"),
        (Time::from_bytes(&[1; 15]), "nothing"),
    ];
    for (result, text) in cases {
        match result {
            Ok(_) => assert_eq!(text, "nothing"),
            Err(error) => assert!(error.text().starts_with(text), "{error}"),
        }
    }
}

#[test]
fn human_readers_have_text() {
    struct Shown(Time);
    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }
    let time = Time::new(1_000_000_000, 5, Some(7_200)).unwrap();
    let text = Shown(time).to_string();
    assert_eq!(text, "2001-09-09T03:46:40.000000005+02:00");
    let read = |text: &str| Time::deserialize(StrDeserializer::<Error>::new(text));
    assert_eq!(read(&text).unwrap(), time);
    let wanted = "wanted a time as in RFC 3339, or its bytes, received a string";
    assert_eq!(read("today").unwrap_err().to_string(), wanted);
    let unread = Time::new(0, 0, Some(1)).unwrap();
    assert!(fmt::write(&mut String::new(), format_args!("{}", Shown(unread))).is_err());
}

#[test]
fn a_time_that_was_left_out_is_zero_and_one_of_no_bytes_is_refused() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Timed {
        at: Time,
        ended: Option<Time>,
        number: i64,
    }
    let schema = || {
        let mut schema = crate::Schema::builder();
        let time = schema.opaque("Time", crate::Marshaler::Gob);
        let fields = [("At", time), ("Ended", time), ("Number", crate::Type::INT)];
        let timed = schema.structure("Timed", &fields);
        schema.build(timed).unwrap()
    };
    // Bytes that are sent where the type sends its own, and are not a time.
    struct NoBytes;
    impl Serialize for NoBytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[])
        }
    }
    let read = |value: &dyn Fn() -> Result<Vec<u8>>| crate::from_slice::<Timed>(&value()?);
    let number = BTreeMap::from([("Number", 1)]);
    let timed = read(&|| crate::to_vec_as(&schema(), &number)).unwrap();
    assert_eq!((timed.at, timed.ended, timed.number), (Time::ZERO, None, 1));
    for name in ["At", "Ended"] {
        let sent = BTreeMap::from([(name, Some(NoBytes))]);
        let error = read(&|| crate::to_vec_as(&schema(), &sent)).unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: bytes that are no time"));
    }
}

#[test]
fn bytes_are_read_where_text_is_meant() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Outer<T> {
        number: i64,
        #[serde(flatten)]
        rest: T,
    }
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Rest {
        time: Time,
    }
    let mut schema = crate::Schema::builder();
    let time = schema.opaque("Time", crate::Marshaler::Gob);
    let outer = schema.structure("Outer", &[("number", crate::Type::INT), ("time", time)]);
    let schema = schema.build(outer).unwrap();
    let value = Outer { number: 1, rest: Rest { time: Time::new(5, 0, None).unwrap() } };
    let bytes = crate::to_vec_as(&schema, &value).unwrap();
    assert_eq!(crate::from_slice::<Outer<Rest>>(&bytes).unwrap(), value);
}

#[test]
fn system_times_are_there_and_back_the_same() {
    let epoch = SystemTime::UNIX_EPOCH;
    let cases = [
        (epoch, 0, 0),
        (epoch + Duration::new(5, 7), 5, 7),
        (epoch - Duration::from_secs(5), -5, 0),
        (epoch - Duration::from_nanos(1), -1, 999_999_999),
    ];
    for (system, seconds, nanoseconds) in cases {
        let time = Time::from(system);
        assert_eq!(time, Time::new(seconds, nanoseconds, None).unwrap());
        assert_eq!(SystemTime::try_from(time).unwrap(), system);
    }
}
