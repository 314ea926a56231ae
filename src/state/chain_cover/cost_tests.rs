//! What comparing auth chains costs, by counting reads: the chains that differ, never the distance, nor what the
//! chains have in common.

use std::cell::Cell;

use super::*;

/// Counts reads, and what they bring.
struct Counted<'a> {
    index: &'a MemoryChains,
    rows: Cell<usize>,
}

impl Counted<'_> {
    fn count<T>(&self, rows: usize, answer: T) -> T {
        self.rows.set(self.rows.get() + rows.max(1));
        answer
    }
}

impl ChainSource for Counted<'_> {
    type Error = std::convert::Infallible;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Self::Error> {
        self.count(1, self.index.position(event))
    }

    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, Self::Error> {
        self.count(1, self.index.entry(position))
    }

    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, Self::Error> {
        let entries = self.index.entries_back(position, limit)?;
        self.count(entries.len(), Ok(entries))
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, Self::Error> {
        self.count(1, self.index.last_sequence(chain))
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Self::Error> {
        let origins = self.index.backlinks(target, limit)?;
        self.count(origins.len(), Ok(origins))
    }
}

const CREATE: u64 = 1;
const LEVELS: u64 = 2;
const JOIN_RULES: u64 = 3;

/// A room as the selection of auth events makes it: who sends what cites what is current then.
struct Room {
    index: MemoryChains,
    next: u64,
    /// Key to the current event.
    state: std::collections::HashMap<u64, u64>,
    rows_read_max: usize,
    bytes_max: usize,
}

/// The key of a member's events.
fn member(number: u64) -> u64 {
    1_000 + number
}

impl Room {
    /// With a creator, member 0.
    fn new() -> Self {
        let (index, state) = (MemoryChains::new(), std::collections::HashMap::new());
        let mut room = Self { index, next: 1, state, rows_read_max: 0, bytes_max: 0 };
        room.add(CREATE, true, &[]);
        room.add(member(0), true, &[CREATE]);
        room.levels(0);
        room.add(JOIN_RULES, true, &[CREATE, LEVELS, member(0)]);
        room
    }

    fn add(&mut self, key: u64, citable: bool, cited: &[u64]) -> u64 {
        let event = self.next;
        self.next += 1;
        let mut auth_events: Vec<u64> = cited.iter().filter_map(|key| self.state.get(key)).copied().collect();
        auth_events.sort_unstable();
        auth_events.dedup();
        let counted = Counted { index: &self.index, rows: Cell::new(0) };
        let new = NewEvent { event, state_key: key, citable, auth_events: &auth_events };
        let appended = append(&counted, new).unwrap();
        self.rows_read_max = counted.rows.get().max(self.rows_read_max);
        self.bytes_max = appended.entry.links.len().max(self.bytes_max);
        self.index.insert(&appended);
        self.state.insert(key, event);
        event
    }

    fn levels(&mut self, sender: u64) -> u64 {
        self.add(LEVELS, true, &[CREATE, LEVELS, member(sender)])
    }

    /// A join, or a change of name.
    fn join(&mut self, number: u64) -> u64 {
        self.add(member(number), true, &[CREATE, LEVELS, JOIN_RULES, member(number)])
    }

    fn invite(&mut self, sender: u64, number: u64) -> u64 {
        self.add(member(number), true, &[CREATE, LEVELS, JOIN_RULES, member(sender), member(number)])
    }

    fn topic(&mut self, sender: u64) -> u64 {
        self.add(4, false, &[CREATE, LEVELS, member(sender)])
    }

    /// The rows that a difference reads, and how many events it has. An append must have read few.
    fn difference(&self, one: u64, other: u64) -> (usize, u64) {
        assert!(self.rows_read_max <= 120, "an append read {} rows", self.rows_read_max);
        let limit = crate::state::limits::CHAIN_LINKS_MAX;
        assert!(self.bytes_max <= limit, "an entry has {} links", self.bytes_max);
        let place = |event| vec![self.index.position(event).unwrap().unwrap()];
        let counted = Counted { index: &self.index, rows: Cell::new(0) };
        let ranges = auth_difference(&counted, &[place(one), place(other)]).unwrap();
        (counted.rows.get(), ranges.iter().map(ChainRange::len).sum())
    }

    fn reading(&self, ancestor: u64, event: u64) -> (usize, bool) {
        let place = |event| self.index.position(event).unwrap().unwrap();
        let counted = Counted { index: &self.index, rows: Cell::new(0) };
        let found = is_in_auth_chain(&counted, place(ancestor), place(event)).unwrap();
        (counted.rows.get(), found)
    }
}

/// The bench `room_on_disk`: power levels change every few joins. A join must not take the end of their chain, or
/// each change begins a new one.
#[test]
fn power_levels_between_joins_stay_in_one_chain() {
    let mut room = Room::new();
    let mut first = 0;
    for number in 0..50_000 {
        if number % 50 == 0 {
            room.levels(0);
        }
        let joined = room.join(1 + number);
        if number == 60 {
            first = joined;
        }
    }
    let last = room.next - 1;
    let (rows, events) = room.difference(first, last);
    assert_eq!(events, 998);
    assert!(rows <= 60, "{rows} rows");
    let (rows, _) = room.reading(first, last);
    assert!(rows <= 60, "{rows} rows");
}

/// Power levels changed by two admins in turn, 100,000 times.
#[test]
fn distant_power_levels_differ_by_a_range() {
    let mut room = Room::new();
    room.join(1);
    let first = room.levels(0);
    for number in 0..100_000 {
        room.levels(number % 2);
    }
    let last = room.next - 1;
    let (rows, events) = room.difference(first, last);
    // All from the first up to the last but one; the other admin's join and the join rules that it cites are new
    // as well.
    assert_eq!(events, 100_002);
    assert!(rows <= 60, "{rows} rows");
}

/// Each new member is invited by the one before.
#[test]
fn members_who_invite_one_another_in_turn_are_one_chain() {
    let mut room = Room::new();
    let mut first = 0;
    for number in 0..30_000 {
        room.invite(number, number + 1);
        let joined = room.join(number + 1);
        if number == 10 {
            first = joined;
        }
    }
    let (rows, events) = room.difference(first, room.next - 1);
    assert!(events > 59_000);
    assert!(rows <= 60, "{rows} rows");
}

/// One member invites all others and changes name before each invite.
#[test]
fn a_member_who_invites_and_changes_stays_in_few_chains() {
    let mut room = Room::new();
    let mut first = 0;
    for number in 0..30_000 {
        room.join(0);
        room.invite(0, number + 1);
        let joined = room.join(number + 1);
        if number == 10 {
            first = joined;
        }
    }
    let (rows, events) = room.difference(first, room.next - 1);
    assert!(events > 29_000);
    assert!(rows <= 100, "{rows} rows");
}

/// A room as old ones are: two hundred admins, each promoted by another one, whose names change, who all have
/// changed the power levels; thousands of members who came at any time and change their names.
fn old_room() -> Room {
    let mut room = Room::new();
    for number in 1..5_000 {
        room.join(number);
        if number % 25 == 0 {
            // By one of the latest admins.
            room.levels((number - 25) - (number % 7) * 25 * u64::from(number > 500));
            room.join(number - 25);
        }
        if number % 3 == 0 {
            room.join(number / 3);
        }
        if number % 11 == 0 {
            room.topic(number - number % 25);
        }
    }
    room
}

/// What two members of today have in common is not walked, whenever they came.
#[test]
fn members_of_an_old_room_differ_in_little() {
    let mut room = old_room();
    for (one, other) in [(3, 4_001), (2_000, 2_001), (7, 9), (4_998, 4_999), (25, 4_000), (50, 75)] {
        let (first, second) = (room.join(one), room.join(other));
        let (rows, events) = room.difference(first, second);
        println!("{one} and {other}: {events} events, {rows} rows");
        assert!(events < 20, "{one} and {other}: {events} events");
        assert!(rows <= 100, "{one} and {other}: {rows} rows");
    }
}

/// More senders than a chain links to: power levels go on in a new chain, and no entry grows.
#[test]
fn power_levels_that_many_people_change_are_bounded() {
    let mut room = Room::new();
    for number in 1..2_000 {
        room.join(number);
    }
    let first = room.levels(1);
    for number in 2..2_000 {
        room.levels(number);
    }
    let (rows, events) = room.difference(first, room.next - 1);
    // Two for each sender: the join and what it sent, but for the ends.
    assert!(events > 3_900);
    assert!(rows < 2 * 3_900, "{rows} rows for {events} events");
}
