//! How often a caller may act: one table of counts per kind of action, bounded in size.
//!
//! The counts follow the generic cell rate algorithm (governor's): after a pause a caller may act
//! `burst` times at once, and `per_second` times a second in the long run. Counts are in memory only;
//! a restart forgets them. The main type is [`RateLimiter`].

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};
use ruma::UserId;
use thiserror::Error;

use super::limits::{
    IPV6_CLIENT_PREFIX_BITS, RATE_LIMIT_CALLERS_MAX, RATE_LIMIT_CHECKS_PER_CLEANUP, RATE_LIMIT_OWN_MAX,
    RATE_LIMIT_SHARED_SLOTS,
};
use crate::config::{RateLimit, RateLimits};

/// The kinds of actions that have a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An attempt to log in, by address and by account.
    Login,
    /// A request on the way to a new account, by address.
    Registration,
    /// An event sent to a room, by user.
    Message,
    /// A room joined, by user.
    Join,
    /// An invite sent, by user.
    Invite,
    /// A room created, by user.
    RoomCreation,
    /// A file uploaded, by user.
    MediaUpload,
    /// A file to be fetched from another server, by user, or by address where nobody is logged in.
    RemoteMedia,
    /// A link to be previewed, by user.
    UrlPreview,
    /// A search for messages or users, by user.
    Search,
    /// A pusher set, whose gateway is then connected to, by user.
    Pusher,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A user; on log-in the one whose account is tried, whether it exists or not.
    User(&'a UserId),
    /// A client's address; IPv6 clients are told apart by their /64.
    Address(IpAddr),
    /// A user to whom users of other servers do it, who are as many as their servers like.
    Target(&'a UserId),
}

/// The action was refused, as the caller did it too often (errcode `M_LIMIT_EXCEEDED`, client-server
/// API, "Rate limiting").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many requests; try again in {} ms", retry_after.as_millis())]
pub struct LimitExceeded {
    /// After this time the action will be allowed, if nothing else is tried meanwhile; never zero.
    pub retry_after: Duration,
}

/// The limits of all kinds of actions.
#[derive(Debug)]
pub struct RateLimiter<C: Clock + Clone = DefaultClock> {
    enabled: bool,
    login: Table<C>,
    registration: Table<C>,
    message: Table<C>,
    join: Table<C>,
    invite: Table<C>,
    room_creation: Table<C>,
    media_upload: Table<C>,
    remote_media: Table<C>,
    url_preview: Table<C>,
    search: Table<C>,
    pusher: Table<C>,
    /// Users with limits of their own, by their hash.
    own: Mutex<HashMap<u64, OwnLimit<C>>>,
    clock: C,
    hasher: RandomState,
}

impl RateLimiter {
    /// Limits as configured, nothing counted yet.
    pub fn new(config: &RateLimits) -> Self {
        Self::with_clock(config, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimiter<C> {
    /// As [`RateLimiter::new`], by another clock.
    pub fn with_clock(config: &RateLimits, clock: &C) -> Self {
        let table = |limit| Table::new(limit, clock.clone());
        Self {
            enabled: config.enabled,
            login: table(&config.login),
            registration: table(&config.registration),
            message: table(&config.message),
            join: table(&config.join),
            invite: table(&config.invite),
            room_creation: table(&config.room_creation),
            media_upload: table(&config.media_upload),
            remote_media: table(&config.remote_media),
            url_preview: table(&config.url_preview),
            search: table(&config.search),
            pusher: table(&config.pusher),
            own: Mutex::default(),
            clock: clock.clone(),
            hasher: RandomState::new(),
        }
    }

    /// Counts one `action` of `caller`, or refuses it (and then counts nothing).
    pub fn check(&self, action: Action, caller: Caller<'_>) -> Result<(), LimitExceeded> {
        if !self.enabled {
            return Ok(());
        }
        let table = match action {
            Action::Login => &self.login,
            Action::Registration => &self.registration,
            Action::Message => &self.message,
            Action::Join => &self.join,
            Action::Invite => &self.invite,
            Action::RoomCreation => &self.room_creation,
            Action::MediaUpload => &self.media_upload,
            Action::RemoteMedia => &self.remote_media,
            Action::UrlPreview => &self.url_preview,
            Action::Search => &self.search,
            Action::Pusher => &self.pusher,
        };
        table.check(caller)
    }
}

/// A limit that one user has alone, with its count.
#[derive(Debug)]
struct OwnLimit<C: Clock + Clone> {
    limit: (u32, u32),
    count: governor::RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
}

impl<C: Clock + Clone> RateLimiter<C> {
    /// As [`RateLimiter::check`], for a user who may act so many times a second (0 for no limit) and `burst` times at
    /// once. A changed limit begins a new count; a flood of such users, whom administrators would have to make,
    /// begins all anew.
    pub fn check_own(&self, user: &UserId, per_second: u32, burst: u32) -> Result<(), LimitExceeded> {
        if !self.enabled || per_second == 0 {
            return Ok(());
        }
        let key = self.hasher.hash_one(user.as_str());
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= RATE_LIMIT_OWN_MAX && !own.contains_key(&key) {
            own.clear();
        }
        let limit = (per_second, burst);
        let new = || {
            let quota = quota(&RateLimit::new(f64::from(per_second), u64::from(burst.max(1))));
            OwnLimit { limit, count: governor::RateLimiter::direct_with_clock(quota, self.clock.clone()) }
        };
        let entry = own.entry(key).or_insert_with(new);
        if entry.limit != limit {
            *entry = new();
        }
        entry.count.check().map_err(|refusal| {
            let wait = refusal.wait_time_from(self.clock.now());
            LimitExceeded { retry_after: wait.max(Duration::from_millis(1)) }
        })
    }
}

/// The counts of one kind of action. Callers are kept as hashes: entries are small and of one size, and
/// two callers share a count by chance once in 2^64.
#[derive(Debug)]
struct Table<C: Clock + Clone> {
    counts: governor::RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    hasher: RandomState,
    checks_since_cleanup: AtomicU32,
    is_full: AtomicBool,
}

impl<C: Clock + Clone> Table<C> {
    fn new(limit: &RateLimit, clock: C) -> Self {
        Self {
            counts: governor::RateLimiter::dashmap_with_clock(quota(limit), clock.clone()),
            clock,
            hasher: RandomState::new(),
            checks_since_cleanup: AtomicU32::new(0),
            is_full: AtomicBool::new(false),
        }
    }

    fn check(&self, caller: Caller<'_>) -> Result<(), LimitExceeded> {
        self.clean_up_now_and_then();
        let mut key = self.hash(caller);
        if self.is_full.load(Ordering::Relaxed) {
            // A flood of callers: the table cannot tell them all apart, so they share counts. Callers
            // that act politely notice little, and memory stays bounded.
            key %= RATE_LIMIT_SHARED_SLOTS;
        }
        self.counts.check_key(&key).map_err(|refusal| {
            let wait = refusal.wait_time_from(self.clock.now());
            LimitExceeded { retry_after: wait.max(Duration::from_millis(1)) }
        })
    }

    fn hash(&self, caller: Caller<'_>) -> u64 {
        match caller {
            Caller::User(user) => self.hasher.hash_one((0_u8, user.as_str())),
            Caller::Address(address) => self.hasher.hash_one((1_u8, client_prefix(address))),
            Caller::Target(user) => self.hasher.hash_one((2_u8, user.as_str())),
        }
    }

    /// Forgets callers whose count is as that of a new one. Every so many checks, not by a timer: an
    /// idle server does nothing.
    fn clean_up_now_and_then(&self) {
        let checks = self.checks_since_cleanup.fetch_add(1, Ordering::Relaxed) + 1;
        if checks != RATE_LIMIT_CHECKS_PER_CLEANUP {
            return;
        }
        self.checks_since_cleanup.store(0, Ordering::Relaxed);
        self.counts.retain_recent();
        self.is_full.store(self.counts.len() > RATE_LIMIT_CALLERS_MAX, Ordering::Relaxed);
    }
}

/// governor's form of a limit.
fn quota(limit: &RateLimit) -> Quota {
    let burst = u32::try_from(limit.burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let period = Duration::try_from_secs_f64(1.0 / limit.per_second).unwrap_or(Duration::MAX);
    // Only a period of zero is refused: more than 10^9 a second are no limit that could be felt.
    Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MAX)).allow_burst(burst)
}

/// The part of an address that tells clients apart.
fn client_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_CLIENT_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use ruma::user_id;

    use super::*;

    /// Two messages at once, then one each ten seconds.
    fn limiter(clock: &FakeRelativeClock) -> RateLimiter<FakeRelativeClock> {
        let config = RateLimits { message: RateLimit::new(0.1, 2), ..RateLimits::default() };
        RateLimiter::with_clock(&config, clock)
    }

    #[test]
    fn after_the_burst_a_caller_waits_and_is_told_how_long() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter(&clock);
        let send = || limiter.check(Action::Message, Caller::User(user_id!("@a:b")));
        assert_eq!(send(), Ok(()));
        assert_eq!(send(), Ok(()));
        assert_eq!(send(), Err(LimitExceeded { retry_after: Duration::from_secs(10) }));
        clock.advance(Duration::from_secs(4));
        assert_eq!(send(), Err(LimitExceeded { retry_after: Duration::from_secs(6) }));
        clock.advance(Duration::from_secs(6));
        assert_eq!(send(), Ok(()));
        assert!(send().is_err());
    }

    #[test]
    fn callers_and_actions_are_counted_apart() {
        let limiter = limiter(&FakeRelativeClock::default());
        let address = |text: &str| Caller::Address(text.parse().expect("an address"));
        for caller in [Caller::User(user_id!("@a:b")), Caller::User(user_id!("@c:b")), address("192.0.2.1")] {
            assert_eq!(limiter.check(Action::Message, caller), Ok(()));
            assert_eq!(limiter.check(Action::Message, caller), Ok(()));
            assert!(limiter.check(Action::Message, caller).is_err());
            assert_eq!(limiter.check(Action::Join, caller), Ok(()));
        }
    }

    #[test]
    fn a_user_may_have_a_limit_of_their_own() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter(&clock);
        let send = |per_second, burst| limiter.check_own(user_id!("@a:b"), per_second, burst).is_ok();
        assert!((0..1_000).all(|_| send(0, 0)), "no limit");
        assert!(send(1, 3) && send(1, 3) && send(1, 3) && !send(1, 3));
        clock.advance(Duration::from_secs(1));
        assert!(send(1, 3) && !send(1, 3));
        assert!(send(2, 1) && !send(2, 1), "another limit begins anew");
        assert!(limiter.check_own(user_id!("@c:d"), 2, 1).is_ok(), "it is one user's");
    }

    #[test]
    fn an_ipv6_customer_has_one_count() {
        let limiter = limiter(&FakeRelativeClock::default());
        let send = |text: &str| {
            limiter.check(Action::Message, Caller::Address(text.parse().expect("an address"))).is_ok()
        };
        assert!(send("2001:db8:0:1::1") && send("2001:db8:0:1:ffff::2") && !send("2001:db8:0:1::3"));
        assert!(send("2001:db8:0:2::1"));
    }

    #[test]
    fn switched_off_it_allows_everything() {
        let config = RateLimits { enabled: false, message: RateLimit::new(0.1, 1), ..RateLimits::default() };
        let limiter = RateLimiter::with_clock(&config, &FakeRelativeClock::default());
        for _ in 0..10 {
            assert_eq!(limiter.check(Action::Message, Caller::User(user_id!("@a:b"))), Ok(()));
        }
    }

    #[test]
    fn a_flood_of_callers_stays_bounded_and_is_forgotten() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter(&clock);
        let flood = |start: u32, count: u32| {
            for number in start..start + count {
                let _ = limiter.check(Action::Message, Caller::Address(IpAddr::V4(number.into())));
            }
        };
        flood(0, 100_000);
        let shared = usize::try_from(RATE_LIMIT_SHARED_SLOTS).expect("small");
        let slack = usize::try_from(RATE_LIMIT_CHECKS_PER_CLEANUP).expect("small");
        let bound = RATE_LIMIT_CALLERS_MAX + shared + slack;
        assert!(limiter.message.counts.len() <= bound, "{}", limiter.message.counts.len());
        assert!(limiter.message.is_full.load(Ordering::Relaxed));

        clock.advance(Duration::from_secs(60));
        flood(200_000, RATE_LIMIT_CHECKS_PER_CLEANUP);
        assert!(limiter.message.counts.len() <= slack, "{}", limiter.message.counts.len());
        assert!(!limiter.message.is_full.load(Ordering::Relaxed));
    }
}
