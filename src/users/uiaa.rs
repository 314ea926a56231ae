//! User-interactive authentication: what a user must prove before some requests are served
//! (client-server API, "User-Interactive Authentication API").
//!
//! A session belongs to one operation of one user and is used up when its stages are done, so nothing
//! proved for one request serves another. Sessions live in memory, bounded in number and time; the main
//! type is [`Uiaa`].

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{
    OwnedUserId, UserId,
    api::{
        client::uiaa::{AuthData, AuthFlow, AuthType, UiaaInfo, UserIdentifier},
        error::{ErrorKind, StandardErrorBody},
    },
};
use serde_json::value::RawValue;

use super::{
    Accounts, Clock, RegistrationPolicy, RegistrationTokens, Terms, UserError, limits,
    secrets::{self, SecretHash},
};

/// One thing to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The user's password.
    Password,
    /// Nothing.
    Dummy,
    /// A token for registration.
    RegistrationToken,
    /// The operator's terms, accepted.
    Terms,
}

impl Stage {
    fn of(auth: &AuthData) -> Option<Self> {
        match auth {
            AuthData::Password(_) => Some(Self::Password),
            AuthData::Dummy(_) => Some(Self::Dummy),
            AuthData::RegistrationToken(_) => Some(Self::RegistrationToken),
            AuthData::Terms(_) => Some(Self::Terms),
            _ => None,
        }
    }

    fn auth_type(self) -> AuthType {
        match self {
            Self::Password => AuthType::Password,
            Self::Dummy => AuthType::Dummy,
            Self::RegistrationToken => AuthType::RegistrationToken,
            Self::Terms => AuthType::Terms,
        }
    }
}

/// What is asked for: a session for one operation is none for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The operation's name.
    pub name: &'static str,
    /// Who asks; `None` when nobody is logged in.
    pub user: Option<OwnedUserId>,
    /// The hash of what it is done to, such as the devices to be deleted; what is proved counts for nothing
    /// else. The text itself may be as long as a request, and sessions are kept by the thousand.
    pub subject: SecretHash,
}

impl Operation {
    /// An operation of a user who is logged in.
    pub fn of_user(name: &'static str, user: OwnedUserId, subject: impl AsRef<str>) -> Self {
        Self { name, user: Some(user), subject: secrets::hash(subject.as_ref()) }
    }

    /// An operation of somebody who is not logged in.
    pub fn of_anybody(name: &'static str) -> Self {
        Self { name, user: None, subject: secrets::hash("") }
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// All is proved: do it, once.
    Authorized,
    /// Something is still to be proved: the body of the 401.
    Needed(Box<UiaaInfo>),
}

/// Flows: lists of stages, one of which must be gone through in order.
type Flows = [&'static [Stage]];

struct UiaaSession {
    operation: Operation,
    completed: Vec<Stage>,
    /// The token that was shown, if it is one whose uses are counted.
    token: Option<String>,
    expires_at_ms: u64,
}

#[derive(Default)]
struct UiaaSessions {
    by_id: HashMap<String, UiaaSession>,
    /// All ids, the oldest first; some may have ended.
    ids: VecDeque<String>,
}

impl UiaaSessions {
    fn begin(&mut self, id: String, session: UiaaSession) {
        while self.ids.len() >= limits::UIAA_SESSIONS_MAX {
            let Some(oldest) = self.ids.pop_front() else { break };
            self.by_id.remove(&oldest);
        }
        self.ids.push_back(id.clone());
        self.by_id.insert(id, session);
    }

    fn end(&mut self, id: &str) {
        if self.by_id.remove(id).is_some() {
            self.ids.retain(|known| known != id);
        }
    }

    fn get(&mut self, id: &str, operation: &Operation, now_ms: u64) -> Option<&mut UiaaSession> {
        if self.by_id.get(id)?.expires_at_ms <= now_ms {
            self.end(id);
            return None;
        }
        self.by_id.get_mut(id).filter(|session| session.operation == *operation)
    }
}

/// The service for user-interactive authentication; cheap to clone.
#[derive(Clone)]
pub struct Uiaa {
    accounts: Accounts,
    registration: RegistrationPolicy,
    tokens: RegistrationTokens,
    terms: Option<Arc<Terms>>,
    clock: Clock,
    sessions: Arc<Mutex<UiaaSessions>>,
}

impl std::fmt::Debug for Uiaa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uiaa").field("registration", &self.registration).finish_non_exhaustive()
    }
}

impl Uiaa {
    /// The service.
    pub fn new(accounts: Accounts, registration: RegistrationPolicy, clock: Clock) -> Self {
        let tokens = RegistrationTokens::new(accounts.storage().clone(), clock.clone());
        Self { accounts, registration, tokens, terms: None, clock, sessions: Arc::default() }
    }

    /// As `self`, with terms that have to be accepted by whoever registers.
    #[must_use]
    pub fn with_terms(self, terms: Option<Terms>) -> Self {
        Self { terms: terms.map(Arc::new), ..self }
    }

    /// The tokens that administrators make.
    pub fn registration_tokens(&self) -> &RegistrationTokens {
        &self.tokens
    }

    /// How many people are on the way of registering with a token.
    pub fn pending_uses(&self, token: &str) -> u64 {
        let sessions = self.lock();
        let now_ms = self.clock.now_ms();
        let holds = |session: &&UiaaSession| {
            session.token.as_deref() == Some(token) && session.expires_at_ms > now_ms
        };
        sessions.by_id.values().filter(holds).count() as u64
    }

    /// Whether somebody may register with this token: the operator's, or one of an administrator's that holds.
    pub fn accepts_token(&self, token: &str) -> Result<bool, UserError> {
        if self.registration.accepts_token(token) {
            return Ok(true);
        }
        if !matches!(self.registration, RegistrationPolicy::Token(_)) {
            return Ok(false);
        }
        let record = self.tokens.get(token)?;
        Ok(record.is_some_and(|record| self.tokens.is_valid(&record, self.pending_uses(token))))
    }

    /// What a client has to do to register.
    pub fn registration_flows(&self) -> Result<&'static Flows, UserError> {
        self.registration.flows(self.terms.is_some())
    }

    /// Who may register.
    pub fn registration(&self) -> &RegistrationPolicy {
        &self.registration
    }

    /// Decides on a request for `operation` that comes with `auth`. A client may prove the first stage
    /// without asking for a session before.
    pub fn check(
        &self,
        operation: &Operation,
        flows: &Flows,
        auth: Option<&AuthData>,
    ) -> Result<Outcome, UserError> {
        let Some(auth) = auth else { return self.begin(operation, flows, None) };
        let (id, completed) = match auth.session() {
            None => (self.begin_session(operation)?, Vec::new()),
            Some(id) => {
                let completed = self.completed(id, operation);
                let Some(completed) = completed else { return self.begin(operation, flows, Some(ENDED)) };
                (id.to_owned(), completed)
            }
        };
        let needed = |completed: &[Stage], refusal| Ok(self.needed(flows, completed, &id, refusal));
        let stage = match next_stage(auth, flows, &completed) {
            Ok(stage) => stage,
            Err(refusal) => return needed(&completed, refusal),
        };
        if let Some(refusal) = self.refusal(stage, auth, operation)? {
            return needed(&completed, Some(refusal));
        }
        self.complete(operation, flows, &id, (stage, auth))
    }

    /// What is done in a session for this operation; `None` when there is no such session.
    fn completed(&self, id: &str, operation: &Operation) -> Option<Vec<Stage>> {
        let mut sessions = self.lock();
        sessions.get(id, operation, self.clock.now_ms()).map(|session| session.completed.clone())
    }

    /// Marks a stage as done; with the last one the session ends, and the token that was shown is used.
    fn complete(
        &self,
        operation: &Operation,
        flows: &Flows,
        id: &str,
        (stage, auth): (Stage, &AuthData),
    ) -> Result<Outcome, UserError> {
        let mut sessions = self.lock();
        let Some(session) = sessions.get(id, operation, self.clock.now_ms()) else {
            drop(sessions);
            return self.begin(operation, flows, None);
        };
        session.completed.push(stage);
        if let AuthData::RegistrationToken(auth) = auth
            && !self.registration.accepts_token(&auth.token)
        {
            session.token = Some(auth.token.clone());
        }
        let is_done = flows.iter().any(|flow| *flow == session.completed);
        let (completed, token) = (session.completed.clone(), session.token.clone());
        if !is_done {
            return Ok(self.needed(flows, &completed, id, None));
        }
        sessions.end(id);
        drop(sessions);
        match token {
            Some(token) if !self.tokens.use_once(&token)? => self.begin(
                operation,
                flows,
                Some((ErrorKind::Forbidden, "The registration token is used up")),
            ),
            _ => Ok(Outcome::Authorized),
        }
    }

    /// Why what a client sends does not prove a stage; `None` when it does. Takes as long as a password's
    /// check takes.
    fn refusal(
        &self,
        stage: Stage,
        auth: &AuthData,
        operation: &Operation,
    ) -> Result<Option<Refusal>, UserError> {
        let wrong = |message| Ok(Some((ErrorKind::Forbidden, message)));
        match (stage, auth) {
            (Stage::Password, AuthData::Password(auth)) => {
                let UserIdentifier::Matrix(identifier) = &auth.identifier else {
                    return wrong("This kind of identifier is not known here");
                };
                // Before the password is looked at: the attempt counts for the user who asks, and must tell nothing
                // of another's password.
                if !self.means(&identifier.user, operation) {
                    return Err(UserError::OtherUser);
                }
                match self.accounts.check_password(&identifier.user, &auth.password) {
                    Ok(user) if Some(&user) == operation.user.as_ref() => Ok(None),
                    Ok(_) => Err(UserError::OtherUser),
                    Err(UserError::WrongCredentials) => wrong("Wrong user name or password"),
                    Err(e) => Err(e),
                }
            }
            (Stage::RegistrationToken, AuthData::RegistrationToken(auth)) => {
                if self.accepts_token(&auth.token)? {
                    return Ok(None);
                }
                wrong("The registration token is not valid")
            }
            (Stage::Dummy, AuthData::Dummy(_)) | (Stage::Terms, AuthData::Terms(_)) => Ok(None),
            _ => wrong("This does not fit the type of authentication"),
        }
    }

    /// Whether a client names the operation's user, by id or by local part.
    fn means(&self, named: &str, operation: &Operation) -> bool {
        let exactly = UserId::parse_with_server_name(named, self.accounts.server_name()).ok();
        let meant = [exactly, self.accounts.meant_by(named)];
        operation.user.is_some() && meant.contains(&operation.user)
    }

    fn begin(
        &self,
        operation: &Operation,
        flows: &Flows,
        refusal: Option<Refusal>,
    ) -> Result<Outcome, UserError> {
        let id = self.begin_session(operation)?;
        Ok(self.needed(flows, &[], &id, refusal))
    }

    fn begin_session(&self, operation: &Operation) -> Result<String, UserError> {
        let id = secrets::random_secret()?;
        let expires_at_ms = self.clock.now_ms() + limits::UIAA_SESSION_LIFETIME_MS;
        let session =
            UiaaSession { operation: operation.clone(), completed: Vec::new(), token: None, expires_at_ms };
        self.lock().begin(id.clone(), session);
        Ok(id)
    }

    fn needed(&self, flows: &Flows, completed: &[Stage], id: &str, refusal: Option<Refusal>) -> Outcome {
        let auth_types = |stages: &[Stage]| stages.iter().map(|stage| stage.auth_type()).collect::<Vec<_>>();
        let mut info = UiaaInfo::new(flows.iter().map(|flow| AuthFlow::new(auth_types(flow))).collect());
        info.completed = auth_types(completed);
        let asks_for_terms = flows.iter().any(|flow| flow.contains(&Stage::Terms));
        // Only the terms have parameters; clients expect the key.
        let params = match &self.terms {
            Some(terms) if asks_for_terms => terms.params(),
            _ => "{}".to_owned(),
        };
        info.params = RawValue::from_string(params).ok();
        info.session = Some(id.to_owned());
        info.auth_error =
            refusal.map(|(kind, message)| Box::new(StandardErrorBody::new(kind, message.to_owned())));
        Outcome::Needed(Box::new(info))
    }

    fn lock(&self) -> MutexGuard<'_, UiaaSessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a stage is not done: the errcode and a text for people.
type Refusal = (ErrorKind, &'static str);

/// For a session that is unknown, used up, too old, or another operation's.
const ENDED: Refusal = (ErrorKind::Unknown, "This authentication session has ended; a new one began");

/// The stage that a client wants to do, if it is the next one of a flow; otherwise what to tell it.
fn next_stage(auth: &AuthData, flows: &Flows, completed: &[Stage]) -> Result<Stage, Option<Refusal>> {
    // A session and nothing else asks how far things are.
    let Some(stage) = Stage::of(auth) else {
        let asks_only = matches!(auth, AuthData::FallbackAcknowledgement(_));
        return Err(
            (!asks_only).then_some((ErrorKind::Unrecognized, "This type of authentication is not offered"))
        );
    };
    if completed.contains(&stage) {
        return Err(None);
    }
    let is_next = |flow: &&[Stage]| flow.strip_prefix(completed).and_then(<[Stage]>::first) == Some(&stage);
    if flows.iter().any(is_next) {
        Ok(stage)
    } else {
        Err(Some((ErrorKind::Forbidden, "This is not the next stage of a flow")))
    }
}

#[cfg(test)]
mod tests;
