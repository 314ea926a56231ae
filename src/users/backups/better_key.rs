//! Which of two keys for one session is kept ("Server-side key backups").

use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct KeyQuality {
    is_verified: bool,
    first_message_index: u64,
    forwarded_count: u64,
}

impl KeyQuality {
    /// As the key's data says it; `None` if it does not.
    pub(super) fn of(data: &RawValue) -> Option<Self> {
        let quality = serde_json::from_str::<KeyQuality>(data.get()).ok()?;
        let whole = serde_json::from_str::<SessionData<'_>>(data.get()).ok()?;
        whole.session_data.get().starts_with('{').then_some(quality)
    }

    /// Whether this key is kept in place of `other`: verified ones before others, then those that decrypt more
    /// messages, then those that went through fewer hands. Of equals the first stays.
    pub(super) fn is_better_than(self, other: Self) -> bool {
        let rank =
            |key: Self| (key.is_verified, Reverse(key.first_message_index), Reverse(key.forwarded_count));
        rank(self) > rank(other)
    }
}

#[derive(Deserialize)]
struct SessionData<'a> {
    #[serde(borrow)]
    session_data: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(is_verified: bool, first_message_index: u64, forwarded_count: u64) -> KeyQuality {
        KeyQuality { is_verified, first_message_index, forwarded_count }
    }

    #[test]
    fn the_rules_count_in_their_order() {
        let in_order =
            [key(true, 0, 0), key(true, 0, 1), key(true, 9, 0), key(false, 0, 0), key(false, 1, 0)];
        for (place, better) in in_order.iter().enumerate() {
            assert!(!better.is_better_than(*better));
            for worse in &in_order[place + 1..] {
                assert!(
                    better.is_better_than(*worse) && !worse.is_better_than(*better),
                    "{better:?} {worse:?}"
                );
            }
        }
    }

    #[test]
    fn data_that_says_nothing_is_none() {
        let quality = |text: &str| KeyQuality::of(&RawValue::from_string(text.to_owned()).unwrap());
        let whole = r#"{"is_verified":true,"first_message_index":1,"forwarded_count":2,"session_data":{}}"#;
        assert_eq!(quality(whole), Some(key(true, 1, 2)));
        for text in ["{}", "[]", r#"{"is_verified":true,"first_message_index":1,"forwarded_count":2}"#] {
            assert_eq!(quality(text), None);
        }
        assert_eq!(quality(&whole.replace("{}", "1")), None);
        assert_eq!(quality(&whole.replace(":1,", ":-1,")), None);
    }
}
