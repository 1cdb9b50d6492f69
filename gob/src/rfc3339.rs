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
mod tests;
