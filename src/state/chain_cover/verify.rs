//! Checking the rows of one event against its auth events, for `conduit check`.

use super::{ChainEntry, ChainPosition, ChainSource, Link, NewEvent, Reach, links, links::lead_to};

/// How the rows of an event contradict the event. All are mended by rebuilding the room's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainDefect {
    /// It has no place.
    #[error("it has no place in the chain-cover index")]
    NoPlace,
    /// Its place names another event or state key.
    #[error("its place in the chain-cover index names another event")]
    WrongOccupant,
    /// It does not cite the event before it in its chain.
    #[error("it does not cite the event before it in its chain")]
    PredecessorNotCited,
    /// A link of it leads to an event that it does not cite.
    #[error("it has a link to {}/{}, which it does not cite", .0.chain, .0.sequence)]
    LinkNotCited(ChainPosition),
    /// A link of an earlier event of its chain is not seen from it.
    #[error("the link to {}/{}, which its chain has, is lost", .0.chain, .0.sequence)]
    LinkLost(ChainPosition),
    /// Its auth depth is not greater than that of an event it cites, or a link says another.
    #[error("its auth depth in the chain-cover index is wrong")]
    WrongDepth,
    /// The index does not see that it cites an event.
    #[error("the index does not show that it cites the event with short id {0}")]
    NotReached(u64),
}

/// The first contradiction between an event and its rows; see the module's invariants 1 to 3.
///
/// A room's index is right if every state event passes, and answers are then those of walking auth chains.
pub fn verify<C: ChainSource>(source: &C, event: NewEvent<'_>) -> Result<Option<ChainDefect>, C::Error> {
    let Some(position) = source.position(event.event)? else { return Ok(Some(ChainDefect::NoPlace)) };
    let is_of = |found: &ChainEntry| {
        (found.occupant.event, found.occupant.state_key) == (event.event, event.state_key)
    };
    let Some(entry) = source.entry(position)?.filter(is_of) else {
        return Ok(Some(ChainDefect::WrongOccupant));
    };
    let mut cited = Vec::with_capacity(event.auth_events.len());
    for auth_event in event.auth_events {
        match source.position(*auth_event)? {
            Some(position) => cited.push((*auth_event, position)),
            None => return Ok(Some(ChainDefect::NotReached(*auth_event))),
        }
    }
    let is_cited = |position: &ChainPosition| cited.iter().any(|(_, known)| known == position);
    let before = position.before();
    if before.is_some_and(|before| !is_cited(&before)) {
        return Ok(Some(ChainDefect::PredecessorNotCited));
    }
    // Its own links are those that are not there up to the event before it, and none of those is lost.
    let earlier = before.map_or(Ok(Vec::new()), |before| links(source, before))?;
    let all = links(source, position)?;
    if let Some(lost) = earlier.iter().find(|link| !lead_to(&all, link.to)) {
        return Ok(Some(ChainDefect::LinkLost(lost.to)));
    }
    let own: Vec<Link> = all.iter().filter(|link| !earlier.contains(link)).copied().collect();
    if let Some(link) = own.iter().find(|link| !is_cited(&link.to)) {
        return Ok(Some(ChainDefect::LinkNotCited(link.to)));
    }
    for link in &own {
        let known = source.entry(link.to)?.map(|entry| entry.depth);
        if known != Some(link.depth) || link.depth >= entry.depth {
            return Ok(Some(ChainDefect::WrongDepth));
        }
    }
    if let Some(before) = before
        && source.entry(before)?.is_none_or(|before| before.depth >= entry.depth)
    {
        return Ok(Some(ChainDefect::WrongDepth));
    }
    let mut reach = Reach::new();
    reach.add_auth_chain(source, position)?;
    let missed = cited.iter().find(|(_, position)| !reach.contains(*position));
    Ok(missed.map(|(auth_event, _)| ChainDefect::NotReached(*auth_event)))
}
