//! Times as text, as in RFC 3339: `2001-09-09T03:46:40.000000005+02:00`.
//!
//! Nothing is rounded. What the text cannot tell is no text: years of more than four digits, and
//! offsets of a day or more or of other than whole minutes. What a time cannot tell is no time:
//! leap seconds, and less than a nanosecond.

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// The text for so many seconds since 1970, nanoseconds after them, and an offset in seconds,
/// without one for UTC.
pub(crate) fn print(seconds: i64, nanoseconds: u32, offset: Option<i32>) -> Option<String> {
    let offset_seconds = i64::from(offset.unwrap_or(0));
    let local = seconds.checked_add(offset_seconds)?;
    let (days, second) = (local.div_euclid(DAY_SECONDS), local.rem_euclid(DAY_SECONDS));
    let (year, month, day) = date(days);
    let away = offset_seconds.unsigned_abs();
    if !(0..=9999).contains(&year) || away.checked_rem(60) != Some(0) || away >= 24 * 60 * 60 {
        return None;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanoseconds > 0 {
        text.push_str(format!(".{nanoseconds:09}").trim_end_matches('0'));
    }
    match offset {
        None => text.push('Z'),
        Some(offset) => {
            let sign = if offset < 0 { '-' } else { '+' };
            text.push_str(&format!("{sign}{:02}:{:02}", away / 3600, away / 60 % 60));
        }
    }
    Some(text)
}

/// What [`print()`] is given for such a text.
pub(crate) fn parse(text: &str) -> Option<(i64, u32, Option<i32>)> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text.as_bytes().get(*at) != Some(mark)) {
        return None;
    }
    let [year, month, day] = [number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?];
    let time = time_of_day(text, 11)?.checked_add(number(text, 17, 2).filter(|n| *n < 60)?)?;
    let days = days(year, month, day);
    if date(days) != (year, month, day) {
        return None;
    }
    let rest = text.get(19..)?;
    let (nanoseconds, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let zone_at = rest.find(|symbol: char| !symbol.is_ascii_digit())?;
            let (digits, zone) = rest.split_at_checked(zone_at)?;
            let is_exact = (1..=9).contains(&digits.len());
            (format!("{digits:0<9}").parse().ok().filter(|_| is_exact)?, zone)
        }
    };
    let offset = match zone.as_bytes() {
        b"Z" => None,
        [b'+', _, _, b':', _, _] => Some(time_of_day(zone, 1)?),
        [b'-', _, _, b':', _, _] => Some(time_of_day(zone, 1)?.checked_neg()?),
        _ => return None,
    };
    let local = days.checked_mul(DAY_SECONDS)?.checked_add(time)?;
    let offset_seconds = offset.map(i32::try_from).transpose().ok()?;
    Some((local.checked_sub(offset.unwrap_or(0))?, nanoseconds, offset_seconds))
}

/// The seconds of the hours and minutes at `at`.
fn time_of_day(text: &str, at: usize) -> Option<i64> {
    let hour = number(text, at, 2).filter(|hour| *hour < 24)?;
    let minute = number(text, at.checked_add(3)?, 2).filter(|minute| *minute < 60)?;
    hour.checked_mul(60)?.checked_add(minute)?.checked_mul(60)
}

/// The number of `len` digits at `at`.
fn number(text: &str, at: usize, len: usize) -> Option<i64> {
    let digits = text.get(at..at.checked_add(len)?)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

// The calendar is the same again after 400 years, or 146,097 days. Years are counted from March on,
// so that the day that only some years have is the last: the months before one then have
// (153 * month + 2) / 5 days, and 1970 begins 719,468 days after 1 March of year 0.

/// Year, month and day, so many days after 1 January 1970.
#[expect(clippy::arithmetic_side_effects, reason = "days of 64 bits of seconds are few")]
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// The days from 1 January 1970 to a date; to some other day if there is no such date.
#[expect(clippy::arithmetic_side_effects, reason = "years have four digits, the others two")]
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + 365 * year + year / 4 - year / 100 + day - 719_468
}

#[cfg(test)]
mod tests {
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
}
