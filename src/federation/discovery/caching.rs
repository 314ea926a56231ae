//! For how long a well-known document holds: what its server says, within bounds.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{AGE, CACHE_CONTROL, DATE, EXPIRES},
};

use crate::federation::limits::{DELEGATION_TIME_DEFAULT, DELEGATION_TIME_MAX, DELEGATION_TIME_MIN};

/// How long an answer with these headers holds (RFC 9111, section 4.2.1, as a private cache).
pub fn lifetime(headers: &HeaderMap) -> Duration {
    let lifetime = match cache_control(headers) {
        Some(lifetime) => lifetime.saturating_sub(age(headers)),
        None => expires(headers).unwrap_or(DELEGATION_TIME_DEFAULT),
    };
    lifetime.clamp(DELEGATION_TIME_MIN, DELEGATION_TIME_MAX)
}

/// What `Cache-Control` says; `None` if it says nothing on time.
fn cache_control(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<_> =
        values.flat_map(|value| value.split(',')).map(|part| part.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|directive| directive == "no-store" || directive == "no-cache") {
        return Some(Duration::ZERO);
    }
    let max_age = directives.iter().find_map(|directive| directive.strip_prefix("max-age="))?;
    Some(Duration::from_secs(max_age.trim_matches('"').parse().ok()?))
}

fn age(headers: &HeaderMap) -> Duration {
    let age = headers.get(AGE).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Duration::from_secs(age.unwrap_or(0))
}

/// The time from `Date` to `Expires`.
fn expires(headers: &HeaderMap) -> Option<Duration> {
    let expires = headers.get(EXPIRES)?.to_str().ok()?;
    // Anything that is no date, "0" above all, means that it is over (RFC 9111, section 5.3).
    let Some(expires) = seconds(expires) else { return Some(Duration::ZERO) };
    let date = seconds(headers.get(DATE)?.to_str().ok()?)?;
    Some(Duration::from_secs(expires.saturating_sub(date)))
}

/// The seconds since 1970 of a date as HTTP writes it today: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.trim().split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let time: Vec<u64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = time.as_slice() else { return None };
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || *hour > 23 || *minute > 59 {
        return None;
    }
    // Days since 1970 by counting years from March, so that the leap day is a year's last.
    let (from_march, year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (153 * from_march + 2) / 5 + day - 1;
    let days_since_1970 = days.checked_sub(719_468)?;
    Some(days_since_1970 * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        list.iter().map(header).collect()
    }

    #[test]
    fn dates_are_read() {
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        for odd in ["0", "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT", "a, b c d e"]
        {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }

    #[test]
    fn headers_say_how_long_within_bounds() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (given, expected) in [
            (&[][..], hours(24)),
            (&[("cache-control", "public, max-age=7200")], hours(2)),
            (&[("cache-control", "max-age=7200"), ("age", "3600")], hours(1)),
            (&[("cache-control", "max-age=99999999")], hours(48)),
            (&[("cache-control", "no-store")], DELEGATION_TIME_MIN),
            (&[("cache-control", "max-age=0")], DELEGATION_TIME_MIN),
            (&[("cache-control", "max-age=soon")], hours(24)),
            (&[date, ("expires", "Sun, 06 Nov 1994 11:49:37 GMT")], hours(3)),
            (&[date, ("expires", "0")], DELEGATION_TIME_MIN),
            (
                &[date, ("expires", "Sun, 06 Nov 1994 11:49:37 GMT"), ("cache-control", "max-age=3600")],
                hours(1),
            ),
        ] {
            assert_eq!(lifetime(&headers(given)), expected, "{given:?}");
        }
    }
}
