//! The index against auth chains that are walked event by event, on random graphs.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

/// A graph of auth events: event `n` (from 1) has the key and the auth events at `n - 1`.
#[derive(Debug, Clone)]
struct Graph {
    events: Vec<(u64, bool, Vec<u64>)>,
}

impl Graph {
    fn auth_events(&self, event: u64) -> &[u64] {
        &self.events[usize::try_from(event).unwrap() - 1].2
    }

    /// The auth chain, by walking.
    fn auth_chain(&self, event: u64) -> BTreeSet<u64> {
        let mut chain = BTreeSet::new();
        let mut open = self.auth_events(event).to_vec();
        while let Some(event) = open.pop() {
            if chain.insert(event) {
                open.extend(self.auth_events(event));
            }
        }
        chain
    }

    fn event(&self, event: u64) -> NewEvent<'_> {
        let (state_key, citable, auth_events) = &self.events[usize::try_from(event).unwrap() - 1];
        NewEvent { event, state_key: *state_key, citable: *citable, auth_events }
    }

    fn ids(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.events.len() as u64
    }

    fn append(&self, index: &mut MemoryChains, event: u64) {
        let appended = append(index, self.event(event)).unwrap();
        index.insert(&appended);
    }

    fn index(&self) -> MemoryChains {
        let mut index = MemoryChains::new();
        for event in self.ids() {
            self.append(&mut index, event);
        }
        index
    }
}

/// Graphs of two shapes: events that cite any others, and rooms in which events mostly cite what is new, so that
/// chains get long and auth chains have much in common.
fn graphs() -> impl Strategy<Value = Graph> {
    let any_shape = (0..6_u64, any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..5));
    let any_graph = prop::collection::vec(any_shape, 1..60).prop_map(|drawn| {
        let drawn = drawn.into_iter().map(|(key, citable, cited)| (key, citable, cited, usize::MAX));
        build(drawn.collect())
    });
    let room_shape =
        (0..12_u64, 0..8_u8, prop::collection::vec(any::<prop::sample::Index>(), 1..4), 1..12_usize);
    let rooms = prop::collection::vec(room_shape, 1..160).prop_map(|drawn| {
        let drawn = drawn.into_iter().map(|(key, kind, cited, window)| (key, kind > 0, cited, window));
        build(drawn.collect())
    });
    prop_oneof![any_graph, rooms]
}

/// Key, whether it may be cited, what it cites of the newest so many.
type Drawn = (u64, bool, Vec<prop::sample::Index>, usize);

fn build(drawn: Vec<Drawn>) -> Graph {
    let mut events: Vec<(u64, bool, Vec<u64>)> = Vec::new();
    for (key, citable, cited, window) in drawn {
        let citables: Vec<u64> = (1..).zip(&events).filter(|(_, event)| event.1).map(|(n, _)| n).collect();
        // None while there is nothing to cite.
        let cited = cited.iter().filter(|_| !citables.is_empty());
        let newest = &citables[citables.len().saturating_sub(window)..];
        let mut auth_events: BTreeSet<u64> = cited.map(|index| newest[index.index(newest.len())]).collect();
        // As a member's events cite the one before; every third leaves it out.
        let before = (1..).zip(&events).filter(|(_, event)| event.1 && event.0 == key).map(|(n, _)| n).last();
        auth_events.extend(before.filter(|before| before % 3 > 0));
        events.push((key, citable, auth_events.into_iter().collect()));
    }
    Graph { events }
}

fn place(index: &MemoryChains, event: u64) -> ChainPosition {
    index.position(event).unwrap().unwrap()
}

fn entry(index: &MemoryChains, event: u64) -> ChainEntry {
    index.entry(place(index, event)).unwrap().unwrap()
}

fn events_of(index: &MemoryChains, ranges: &[ChainRange]) -> BTreeSet<u64> {
    let positions = ranges.iter().flat_map(ChainRange::positions);
    positions.map(|position| index.event_at(position).unwrap().unwrap().event).collect()
}

proptest! {
    #[test]
    fn reachability_is_that_of_the_graph(graph in graphs()) {
        let index = graph.index();
        for event in graph.ids() {
            let chain = graph.auth_chain(event);
            for ancestor in graph.ids() {
                let found = is_in_auth_chain(&index, place(&index, ancestor), place(&index, event)).unwrap();
                prop_assert_eq!(found, chain.contains(&ancestor), "{} of {}", ancestor, event);
            }
        }
    }

    #[test]
    fn the_difference_is_that_of_walked_chains(
        graph in graphs(),
        picked in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..4),
    ) {
        let index = graph.index();
        let pick = |at: &prop::sample::Index| at.index(graph.events.len()) as u64 + 1;
        let sets: Vec<Vec<u64>> = picked.iter().map(|set| set.iter().map(pick).collect()).collect();
        let chains: Vec<BTreeSet<u64>> = sets
            .iter()
            .map(|set| set.iter().flat_map(|event| graph.auth_chain(*event)).collect())
            .collect();
        let expected: BTreeSet<u64> = graph
            .ids()
            .filter(|event| {
                let count = chains.iter().filter(|chain| chain.contains(event)).count();
                count > 0 && count < chains.len()
            })
            .collect();
        let places: Vec<Vec<ChainPosition>> =
            sets.iter().map(|set| set.iter().map(|event| place(&index, *event)).collect()).collect();
        let ranges = auth_difference(&index, &places).unwrap();
        prop_assert_eq!(events_of(&index, &ranges), expected);
    }

    #[test]
    fn invariants_hold(graph in graphs()) {
        let index = graph.index();
        let mut rows: HashMap<(u64, u64), Vec<(u64, u64)>> = HashMap::new();
        for event in graph.ids() {
            let position = place(&index, event);
            prop_assert_eq!(verify(&index, graph.event(event)).unwrap(), None);
            prop_assert_eq!(index.event_at(position).unwrap().unwrap().event, event);
            if position.sequence > 1 {
                let before = ChainPosition { sequence: position.sequence - 1, ..position };
                let before = index.event_at(before).unwrap().unwrap();
                prop_assert!(graph.auth_events(event).contains(&before.event));
            }
            for origin in index.backlinks(position, usize::MAX).unwrap() {
                let first = first_link(&index, origin, position).unwrap().unwrap();
                prop_assert!(first <= origin.sequence);
                let before = ChainPosition { sequence: first - 1, ..origin };
                prop_assert_eq!(first_link(&index, before, position).unwrap(), None);
            }
            for link in links(&index, position).unwrap() {
                rows.entry((position.chain, link.to.chain)).or_default().push((position.sequence, link.to.sequence));
                let target = index.entry(link.to).unwrap().unwrap();
                prop_assert_eq!(target.depth, link.depth);
            }
            let deepest = graph.auth_events(event).iter().map(|cited| entry(&index, *cited).depth).max();
            prop_assert_eq!(entry(&index, event).depth, deepest.unwrap_or(0) + 1);
            let start = index.entry(position.start()).unwrap().unwrap();
            prop_assert!(!start.is_reserved || start.occupant.state_key == entry(&index, event).occupant.state_key);
        }
        for rows in rows.values_mut() {
            rows.sort_unstable();
            prop_assert!(rows.is_sorted_by_key(|row| row.1), "targets rise with origins: {:?}", rows);
        }
    }

    #[test]
    fn backfilled_outliers_answer_alike(graph in graphs(), wanted in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let mut index = MemoryChains::new();
        for at in wanted {
            let event = at.index(graph.events.len()) as u64 + 1;
            let order = backfill(&index, &[event], |event| Ok(graph.auth_events(event).to_vec())).unwrap();
            for event in order {
                graph.append(&mut index, event);
            }
            let chain = graph.auth_chain(event);
            let mut reach = Reach::new();
            reach.add_auth_chain(&index, place(&index, event)).unwrap();
            for ancestor in graph.ids() {
                let found = index.position(ancestor).unwrap().is_some_and(|place| reach.contains(place));
                prop_assert_eq!(found, chain.contains(&ancestor));
            }
        }
    }
}

#[test]
fn an_event_needs_its_auth_events_and_comes_once() {
    let mut index = MemoryChains::new();
    let new = NewEvent { event: 2, state_key: 1, citable: true, auth_events: &[1] };
    assert!(matches!(append(&index, new), Err(AppendError::MissingAuthEvent(1))));
    let first = append(&index, NewEvent { event: 1, auth_events: &[], ..new }).unwrap();
    index.insert(&first);
    assert!(matches!(
        append(&index, NewEvent { event: 1, auth_events: &[], ..new }),
        Err(AppendError::AlreadyAppended(1))
    ));
    assert_eq!(append(&index, new).unwrap().position, ChainPosition { chain: 1, sequence: 2 });
}

#[test]
fn defects_are_told() {
    let mut index = MemoryChains::new();
    let event = |event, auth_events| NewEvent { event, state_key: event, citable: true, auth_events };
    for new in [event(1, &[]), event(2, &[1]), event(3, &[1]), event(4, &[2, 3])] {
        let appended = append(&index, new).unwrap();
        index.insert(&appended);
        assert_eq!(verify(&index, new).unwrap(), None);
    }
    let other = append(&index, event(5, &[])).unwrap();
    index.insert(&other);
    let defect = |event| verify(&index, event).unwrap();
    assert_eq!(defect(event(6, &[])), Some(ChainDefect::NoPlace));
    assert_eq!(defect(NewEvent { state_key: 9, ..event(4, &[2, 3]) }), Some(ChainDefect::WrongOccupant));
    assert_eq!(defect(event(4, &[2, 3, 5])), Some(ChainDefect::NotReached(5)));
    assert_eq!(defect(event(4, &[2, 3, 6])), Some(ChainDefect::NotReached(6)));
    // 2 is before 4 in its chain, and 4 links to 3.
    assert_eq!(place(&index, 4), ChainPosition { chain: 1, sequence: 3 });
    assert_eq!(defect(event(4, &[3])), Some(ChainDefect::PredecessorNotCited));
    assert_eq!(defect(event(4, &[2])), Some(ChainDefect::LinkNotCited(place(&index, 3))));
}

#[test]
fn circles_are_told_and_do_not_loop() {
    let index = MemoryChains::new();
    let auth_events_of = |event| Ok(if event == 1 { vec![2] } else { vec![1] });
    assert!(matches!(backfill(&index, &[1], auth_events_of), Err(BackfillError::Circle(_))));
}
