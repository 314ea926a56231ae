//! The request header `Range` (RFC 9110, section 14): which part of a file is asked for.

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// The bytes from the first to the last, both included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// A part that the file doesn't have.
    Nothing,
}

/// Reads the header for a file of `length` bytes. What is not understood asks for all, as the RFC says; so do
/// several ranges, which a server need not serve.
pub fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return number(last).map_or(Wanted::Whole, |count| suffix(count, length));
    }
    let Some(first) = number(first) else { return Wanted::Whole };
    let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
    match last {
        Some(last) if last < first => Wanted::Whole,
        Some(_) if first >= length => Wanted::Nothing,
        Some(last) => Wanted::Part { first, last: last.min(length - 1) },
        None => Wanted::Whole,
    }
}

/// The last `count` bytes.
fn suffix(count: u64, length: u64) -> Wanted {
    if count == 0 || length == 0 {
        return Wanted::Nothing;
    }
    Wanted::Part { first: length.saturating_sub(count), last: length - 1 }
}

/// Digits only: `u64` would also read a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // So many digits are beyond any file.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read() {
        let part = |first, last| Wanted::Part { first, last };
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-5", part(2, 5)),
            ("bytes= 2 - 5 ", part(2, 5)),
            ("bytes=8-", part(8, 9)),
            ("bytes=5-100", part(5, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-100", part(0, 9)),
            ("bytes=0-99999999999999999999999999", part(0, 9)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn no_part_is_outside_of_the_file(header in "(bytes=)?[0-9,\\- ]{0,12}", length in 0_u64..200) {
            if let Wanted::Part { first, last } = wanted(Some(&header), length) {
                prop_assert!(first <= last && last < length);
            }
        }

        #[test]
        fn what_is_asked_for_is_given(first in 0_u64..50, count in 1_u64..50, more in 0_u64..50) {
            let last = first + count - 1;
            let found = wanted(Some(&format!("bytes={first}-{last}")), last + 1 + more);
            prop_assert_eq!(found, Wanted::Part { first, last });
        }
    }
}
