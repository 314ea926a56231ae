//! Who may register an account.

use super::{UserError, secrets, uiaa::Stage};

/// Who may register an account over the client-server API.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum RegistrationPolicy {
    /// Nobody.
    #[default]
    Closed,
    /// Those who know the operator's token, if there is one, or one that an administrator made.
    Token(Option<String>),
    /// Everybody, programs that send spam included.
    Open,
}

impl std::fmt::Debug for RegistrationPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Token(_) => "Token",
            Self::Open => "Open",
        })
    }
}

impl RegistrationPolicy {
    /// From the options: registering must be allowed, and takes a token (the operator's or an administrator's);
    /// without one it is open only if the operator says so explicitly.
    pub fn from_options(is_allowed: bool, token: Option<&str>, is_open_without_token: bool) -> Self {
        match token {
            _ if !is_allowed => Self::Closed,
            None if is_open_without_token => Self::Open,
            token => Self::Token(token.map(str::to_owned)),
        }
    }

    /// What a client has to do to register, as flows of user-interactive authentication; with the terms if there
    /// are some to be accepted.
    pub fn flows(&self, has_terms: bool) -> Result<&'static [&'static [Stage]], UserError> {
        match (self, has_terms) {
            (Self::Closed, _) => Err(UserError::RegistrationDisabled),
            // As Synapse has it: client libraries (matrix-nio) take the token and then the dummy stage.
            (Self::Token(_), false) => Ok(&[&[Stage::RegistrationToken, Stage::Dummy]]),
            (Self::Token(_), true) => Ok(&[&[Stage::RegistrationToken, Stage::Terms, Stage::Dummy]]),
            (Self::Open, false) => Ok(&[&[Stage::Dummy]]),
            (Self::Open, true) => Ok(&[&[Stage::Terms, Stage::Dummy]]),
        }
    }

    /// Whether this is the operator's token. Compares hashes, so that the time tells nothing of the token.
    pub fn accepts_token(&self, token: &str) -> bool {
        matches!(self, Self::Token(Some(expected)) if secrets::hash(expected) == secrets::hash(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_is_closed_unless_the_operator_opens_it() {
        let token = Some("secret");
        let policy = RegistrationPolicy::from_options;
        assert_eq!(policy(false, token, true), RegistrationPolicy::Closed);
        assert_eq!(policy(true, None, false), RegistrationPolicy::Token(None));
        assert_eq!(policy(true, None, true), RegistrationPolicy::Open);
        assert_eq!(policy(true, token, true), RegistrationPolicy::Token(Some("secret".to_owned())));
        assert!(matches!(RegistrationPolicy::Closed.flows(false), Err(UserError::RegistrationDisabled)));
    }

    #[test]
    fn only_the_token_is_the_token() {
        let policy = RegistrationPolicy::Token(Some("secret".to_owned()));
        assert!(policy.accepts_token("secret"));
        assert!(!policy.accepts_token("secre"));
        assert!(!RegistrationPolicy::Open.accepts_token(""));
        assert!(!RegistrationPolicy::Token(None).accepts_token(""));
        assert_eq!(format!("{policy:?}"), "Token", "the log does not tell it");
    }
}
