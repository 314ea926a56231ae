//! Who is, or was, in a room.
//!
//! Lists of all members cost all members, and are made only for requests that ask for them; heroes and the
//! rooms of a user are short scans. Main type: [`Members`].

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};

use super::{PaginationToken, RoomError, RoomIndex, RoomStates, RoomView, Timelines, VisibleEvent, limits};
use crate::{
    matrix::event::Event,
    state::tree::StateRoot,
    storage::{
        Read, ShortEventId, ShortRoomId, ShortUserId, Storage, StorageError, TimelineKey,
        records::{Membership, MembershipRow},
    },
};

use super::visibility::membership_of;

/// The gap after a room's create event and its creator's join.
const CREATED: TimelineKey = TimelineKey(3);

const ALL: [Membership; 5] =
    [Membership::Join, Membership::Invite, Membership::Knock, Membership::Leave, Membership::Ban];

/// Which members to list: if both are given, either lets a member in.
#[derive(Debug, Clone, Copy, Default)]
pub struct MembershipFilter {
    /// Only this membership.
    pub is: Option<Membership>,
    /// Any but this membership.
    pub is_not: Option<Membership>,
}

impl MembershipFilter {
    fn allows(self, membership: Membership) -> bool {
        match (self.is, self.is_not) {
            (None, None) => true,
            (is, is_not) => is == Some(membership) || is_not.is_some_and(|not| not != membership),
        }
    }
}

/// What a room calls a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberNames {
    /// The display name.
    pub display_name: Option<String>,
    /// The avatar, an `mxc:` URI.
    pub avatar_url: Option<String>,
}

impl MemberNames {
    /// As a member event says it; values of other types count as absent.
    pub fn of(event: &Event) -> Self {
        Self {
            display_name: event.content_field("displayname"),
            avatar_url: event.content_field("avatar_url"),
        }
    }
}

/// Rooms that two users share.
#[derive(Debug, Default)]
pub struct MutualRooms {
    /// A page of them.
    pub rooms: Vec<OwnedRoomId>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<ShortRoomId>,
    /// How many there are.
    pub count: u64,
}

/// Lists members. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Members {
    storage: Storage,
    index: RoomIndex,
    states: RoomStates,
    timelines: Timelines,
}

impl Members {
    /// Over the rooms' indices and states.
    pub fn new(storage: Storage, index: RoomIndex, states: RoomStates, timelines: Timelines) -> Self {
        Self { storage, index, states, timelines }
    }

    /// The member events that the viewer may read: now, or when a former member left, or at a token.
    pub fn list(
        &self,
        view: &RoomView<'_>,
        at: Option<PaginationToken>,
        wanted: MembershipFilter,
    ) -> Result<Vec<VisibleEvent>, RoomError> {
        if at.is_none() && view.is_joined() {
            let mut members = Vec::new();
            for membership in ALL.into_iter().filter(|membership| wanted.allows(*membership)) {
                for member in self.index.members(view.room(), membership) {
                    members.extend(view.state_event(member?.1)?);
                }
            }
            return Ok(members);
        }
        let root = match at {
            Some(token) => state_at(view, self.timelines.gap(view, token)?)?,
            None => view.state()?,
        };
        let Some(root) = root else { return Ok(Vec::new()) };
        let members = self.states.members(root)?.into_iter().map(|(_, event)| event);
        let mut members = view.state_events(members)?;
        members.retain(|member| membership_of(member.event()).is_some_and(|found| wanted.allows(found)));
        Ok(members)
    }

    /// The joined members with their names, for a joined viewer.
    pub fn joined(&self, view: &RoomView<'_>) -> Result<BTreeMap<OwnedUserId, MemberNames>, RoomError> {
        let mut joined = BTreeMap::new();
        for member in self.index.members(view.room(), Membership::Join) {
            let (user, event) = member?;
            if let Some(event) = view.state_event(event)? {
                joined.insert(self.storage.user_id(user)?, MemberNames::of(event.event()));
            }
        }
        Ok(joined)
    }

    /// Those after whom a room without a name is called: the first five joined or invited members, or else
    /// those who left or are banned, never the viewer. With their member events.
    pub fn heroes(
        &self,
        room: ShortRoomId,
        viewer: ShortUserId,
    ) -> Result<Vec<(ShortUserId, ShortEventId)>, StorageError> {
        for memberships in [[Membership::Join, Membership::Invite], [Membership::Leave, Membership::Ban]] {
            let mut heroes = Vec::new();
            for membership in memberships {
                // One more than are needed, as one may be the viewer.
                for member in self.index.members(room, membership).take(limits::HEROES + 1) {
                    heroes.push(member?);
                }
            }
            heroes.retain(|(user, _)| *user != viewer);
            heroes.sort_by_key(|(_, event)| *event);
            heroes.truncate(limits::HEROES);
            if !heroes.is_empty() {
                return Ok(heroes);
            }
        }
        Ok(Vec::new())
    }

    /// The rooms that two users are both joined to, from the one with the short id `from` on: at most
    /// [`limits::MUTUAL_ROOMS_PAGE_MAX`], with where to go on, and how many there are in all.
    pub fn mutual_rooms(
        &self,
        user: ShortUserId,
        other: ShortUserId,
        from: ShortRoomId,
    ) -> Result<MutualRooms, StorageError> {
        let mut mutual = MutualRooms::default();
        for row in self.index.rooms_of(user).take(limits::MUTUAL_ROOMS_READ_MAX) {
            let (room, row) = row?;
            let is_joined = |row: MembershipRow| row.membership == Membership::Join;
            if !is_joined(row) || !self.index.membership(other, room)?.is_some_and(is_joined) {
                continue;
            }
            mutual.count += 1;
            if room < from {
                continue;
            }
            if mutual.rooms.len() < limits::MUTUAL_ROOMS_PAGE_MAX {
                mutual.rooms.push(self.storage.room_id(room)?);
            } else if mutual.next.is_none() {
                mutual.next = Some(room);
            }
        }
        Ok(mutual)
    }

    /// Every room that a user has or had to do with.
    pub fn memberships(&self, user: ShortUserId) -> Result<Vec<(OwnedRoomId, Membership)>, StorageError> {
        let room = |row: Result<(ShortRoomId, MembershipRow), StorageError>| {
            let (room, row) = row?;
            Ok((self.storage.room_id(room)?, row.membership))
        };
        self.index.rooms_of(user).map(room).collect()
    }

    /// The rooms that a user is joined to.
    pub fn joined_rooms(&self, user: ShortUserId) -> Result<Vec<OwnedRoomId>, StorageError> {
        let joined = |row: &Result<(ShortRoomId, MembershipRow), StorageError>| {
            row.as_ref().map_or(true, |(_, row)| row.membership == Membership::Join)
        };
        self.index.rooms_of(user).filter(joined).map(|row| self.storage.room_id(row?.0)).collect()
    }
}

/// The state at a gap. Before a room's first event there is none; then that with its creator in it, as
/// a client that has the whole timeline asks with the token that stands before all of it.
fn state_at(view: &RoomView<'_>, gap: TimelineKey) -> Result<Option<StateRoot>, RoomError> {
    let root = view.readable_state_at(gap)?;
    if root.is_some_and(|root| root == StateRoot::EMPTY) && gap <= CREATED {
        return view.readable_state_at(CREATED);
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::stored_room::{ALICE, BOB, CAROL, StoredRoom};
    use serde_json::json;

    fn members(room: &StoredRoom) -> Members {
        let (storage, index) = (room.storage.clone(), room.index.clone());
        Members::new(storage, index, room.states.clone(), room.timelines.clone())
    }

    fn names(events: &[VisibleEvent]) -> Vec<&str> {
        let mut names: Vec<_> = events.iter().filter_map(|event| event.event().state_key()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn lists_follow_the_membership_filter() {
        let mut room = StoredRoom::new();
        room.member(BOB, "join");
        room.member(BOB, "leave");
        room.send(ALICE, "m.room.member", Some(CAROL), json!({"membership": "invite"}));
        let alice = room.viewer(ALICE);
        let view = room.view(&alice);
        let list = |is, is_not| {
            let events = members(&room).list(&view, None, MembershipFilter { is, is_not }).unwrap();
            names(&events).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(list(None, None), [BOB, CAROL, ALICE]);
        assert_eq!(list(Some(Membership::Join), None), [ALICE]);
        assert_eq!(list(None, Some(Membership::Leave)), [CAROL, ALICE]);
        assert_eq!(list(Some(Membership::Leave), Some(Membership::Join)), [BOB, CAROL]);
    }

    #[test]
    fn members_at_a_token_are_those_of_that_time() {
        let mut room = StoredRoom::new();
        room.member(BOB, "join");
        let at = PaginationToken::after(room.index.head(room.room).unwrap().unwrap().newest);
        room.member(CAROL, "join");
        let alice = room.viewer(ALICE);
        let view = room.view(&alice);
        let list = |at| members(&room).list(&view, at, MembershipFilter::default()).unwrap();
        assert_eq!(names(&list(Some(at))), [BOB, ALICE]);
        assert_eq!(names(&list(None)), [BOB, CAROL, ALICE]);
        let first = PaginationToken::Before(TimelineKey(1));
        assert_eq!(names(&list(Some(first))), [ALICE], "the token before all has the creator");
    }

    #[test]
    fn former_members_see_who_was_there_when_they_left() {
        let mut room = StoredRoom::new();
        room.member(BOB, "join");
        room.member(BOB, "leave");
        room.member(CAROL, "join");
        let bob = room.viewer(BOB);
        let list = members(&room).list(&room.view(&bob), None, MembershipFilter::default()).unwrap();
        assert_eq!(names(&list), [BOB, ALICE]);
        assert!(members(&room).joined_rooms(bob.user).unwrap().is_empty());
    }

    #[test]
    fn joined_members_have_the_names_that_their_events_give() {
        let mut room = StoredRoom::new();
        let content = json!({"membership": "join", "displayname": "Bob", "avatar_url": "mxc://a/b"});
        room.send(BOB, "m.room.member", Some(BOB), content);
        room.send(CAROL, "m.room.member", Some(CAROL), json!({"membership": "join", "displayname": 7}));
        let alice = room.viewer(ALICE);
        let joined = members(&room).joined(&room.view(&alice)).unwrap();
        assert_eq!(joined.len(), 3);
        let bob = &joined[&room.viewer(BOB).user_id];
        assert_eq!(
            (bob.display_name.as_deref(), bob.avatar_url.as_deref()),
            (Some("Bob"), Some("mxc://a/b"))
        );
        assert_eq!(joined[&room.viewer(CAROL).user_id], MemberNames::default());
        let room_id = room.draft.room_id.clone().unwrap();
        assert_eq!(members(&room).joined_rooms(alice.user).unwrap(), [room_id]);
    }

    #[test]
    fn heroes_are_five_others_joined_before_left() {
        let mut room = StoredRoom::new();
        let alice = room.viewer(ALICE).user;
        let heroes = |room: &StoredRoom, viewer| {
            let heroes = members(room).heroes(room.room, viewer).unwrap();
            heroes
                .into_iter()
                .map(|(user, _)| room.storage.user_id(user).unwrap().to_string())
                .collect::<Vec<_>>()
        };
        assert!(heroes(&room, alice).is_empty());
        room.member(BOB, "join");
        room.member(BOB, "leave");
        assert_eq!(heroes(&room, alice), [BOB]);
        room.send(ALICE, "m.room.member", Some(CAROL), json!({"membership": "invite"}));
        assert_eq!(heroes(&room, alice), [CAROL]);
        for number in 0..7 {
            room.member(&format!("@user{number}:example.org"), "join");
        }
        assert_eq!(heroes(&room, alice).len(), 5);
        assert_eq!(heroes(&room, alice)[0], CAROL);
        assert!(heroes(&room, room.viewer(CAROL).user).contains(&ALICE.to_owned()));
    }
}
