//! Times and their texts, and what is neither.

use super::*;

#[test]
fn texts_and_times_are_each_other() {
    // (the time, and its text, as Go prints it but for `+00:00`, where it has Z as well)
    let cases = [
        ((0, 0, None), "1970-01-01T00:00:00Z"),
        ((0, 0, Some(0)), "1970-01-01T00:00:00+00:00"),
        ((1_000_000_000, 5, Some(7_200)), "2001-09-09T03:46:40.000000005+02:00"),
        ((-1, 999_999_999, Some(-12_600)), "1969-12-31T20:29:59.999999999-03:30"),
        ((951_782_400, 500_000_000, None), "2000-02-29T00:00:00.5Z"),
        ((-62_135_596_800, 0, None), "0001-01-01T00:00:00Z"),
        ((-62_167_219_200, 0, None), "0000-01-01T00:00:00Z"),
        ((253_402_300_799, 0, None), "9999-12-31T23:59:59Z"),
        ((253_402_300_799, 0, Some(-86_340)), "9999-12-31T00:00:59-23:59"),
    ];
    for (time, text) in cases {
        assert_eq!(print(time.0, time.1, time.2).as_deref(), Some(text));
        assert_eq!(parse(text), Some(time), "{text}");
    }
    assert_eq!(parse("1970-01-01T00:00:00.120Z"), Some((0, 120_000_000, None)));
}

#[test]
fn each_day_of_four_centuries_has_its_date() {
    let lens = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut days_before = days(1900, 1, 1);
    for year in 1900..2301 {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (month, len) in (1..).zip(lens) {
            let len = if month == 2 && is_leap { 29 } else { len };
            for day in 1..=len {
                assert_eq!(date(days_before), (year, month, day));
                assert_eq!(days(year, month, day), days_before);
                days_before += 1;
            }
        }
    }
}

#[test]
fn what_is_not_exact_is_refused() {
    for (seconds, offset) in [
        (-62_167_219_201, None),
        (253_402_300_800, None),
        (253_402_300_799, Some(60)),
        (i64::MAX, Some(60)),
        (i64::MIN, None),
        (0, Some(1)),
        (0, Some(86_400)),
    ] {
        assert_eq!(print(seconds, 0, offset), None, "{seconds}, {offset:?}");
    }
    for text in [
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-04-31T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "+970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.0000000001Z",
        "1970-01-01T00:00:00.5",
        "1970-01-01T00:00:00Zulu",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60",
        "1970-01-01T00:00:00+0000",
        "1970-01-01T00:00:00+00:0\u{e9}",
        "1970-01-01T00:00:\u{e9}Z",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}
