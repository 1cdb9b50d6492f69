//! What types are given to read.

/// What one request is answered with.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) number: u8,
    pub(super) text: &'static str,
}

/// The first pleases nearly every type: not 0, for `NonZero` and its like. Types that refuse it get
/// the next one, and so on: 0, texts that are not empty, then the simplest text that common types
/// read (addresses, dates, versions, 16 bytes in two forms). Within them, sequences have an
/// element, and options something.
const SAMPLES: [Sample; 16] = [
    Sample { number: 1, text: "" },
    Sample { number: 0, text: "1" },
    Sample { number: 2, text: "a" },
    Sample { number: 8, text: "127.0.0.1" },
    Sample { number: 16, text: "http://localhost/" },
    Sample { number: 32, text: "1970-01-01T00:00:00Z" },
    Sample { number: 64, text: "1.0.0" },
    Sample { number: 100, text: "0123456789abcdef" },
    Sample { number: 127, text: "00000000-0000-0000-0000-000000000000" },
    Sample { number: 3, text: "::1" },
    Sample { number: 4, text: "127.0.0.1:80" },
    Sample { number: 5, text: "[::1]:80" },
    Sample { number: 6, text: "1970-01-01" },
    Sample { number: 7, text: "00:00:00" },
    Sample { number: 9, text: "1970-01-01T00:00:00" },
    // A time in the bytes of Go: a version, seconds, nanoseconds, an offset.
    Sample { number: 10, text: "\u{1}\0\0\0\0\0\0\0\0\0\0\0\0\0\0" },
];

impl Sample {
    pub(super) const ROWS: usize = SAMPLES.len();

    pub(super) fn of_row(row: usize) -> Self {
        let [first, ..] = SAMPLES;
        SAMPLES.get(row).copied().unwrap_or(first)
    }
}
