//! Puts together what reads and writes rooms.

use super::{Foundation, RoomReaders, StartError};
use crate::{
    api::{RoomServices, describe},
    push::{PushRules, Successions},
    rooms::{
        Aliases, Appender, ClientEvents, DelayedEvents, EventSender, EventTimes, MemberProfiles, Members,
        Memberships, Receipts, ReceivedEvents, Relations, Reports, Resident, RoomAdministration, RoomBlocks,
        RoomCreator, RoomDeletions, RoomDirectory, RoomError, RoomSummaries, RoomUpgrades, ServerAcls,
        ServerNotices, SigningKeys, Spaces, ThreadSubscriptions, Typing, UserDirectory,
        delayed::{DelayLimits, DelayedSources},
        deletion::DeletionSources,
        limits,
        notices::NoticeSources,
        search::{EventSearch, SearchBacklog},
    },
    users::{AccountData, Accounts, Profiles, keys::DeviceIntroductions},
};

/// The services of rooms, and the server ACLs that those of federation share with them.
pub(super) fn build(
    on: Foundation<'_>,
    readers: &RoomReaders,
    push_rules: &PushRules,
    accounts: &Accounts,
) -> Result<(RoomServices, ServerAcls), StartError> {
    let (storage, server_name) = (on.storage, on.server_name());
    let appender = appender(on, readers, push_rules)?;
    let profiles = MemberProfiles::stored(storage.clone());
    let memberships = Memberships::new(appender.clone(), profiles.clone());
    let event_sender = EventSender::new(appender.clone(), memberships.clone());
    let room_creator = RoomCreator::new(appender.clone(), profiles, on.config.default_room_version.clone())
        .for_all(on.config.allow_room_creation);
    let acls = readers.server_acls();
    let (index, states) = (readers.index.clone(), readers.states.clone());
    let (visibility, timelines) = (readers.visibility.clone(), readers.timelines.clone());
    let permissions = readers.permissions();
    let delayed_events = DelayedEvents::new(DelayedSources {
        storage: on.storage(),
        index: index.clone(),
        sender: event_sender.clone(),
        accounts: accounts.clone(),
        clock: on.clock(),
        limits: DelayLimits {
            delay_ms_max: on.config.event_delay_seconds_max.saturating_mul(1_000),
            scheduled_max: limits::DELAYED_SCHEDULED_MAX,
        },
        describe,
    });
    let services = RoomServices {
        delayed_events,
        room_administration: RoomAdministration::new(appender.clone(), memberships.clone()),
        server_notices: ServerNotices::new(NoticeSources {
            storage: on.storage(),
            index: index.clone(),
            creator: room_creator.clone(),
            memberships: memberships.clone(),
            sender: event_sender.clone(),
            accounts: accounts.clone(),
            profiles: Profiles::new(on.storage(), accounts.clone()),
            account_data: AccountData::new(on.storage()),
        }),
        room_blocks: RoomBlocks::new(storage.clone()),
        room_deletions: RoomDeletions::new(DeletionSources {
            appender: appender.clone(),
            memberships: memberships.clone(),
            creator: room_creator.clone(),
            sender: event_sender.clone(),
            clock: on.clock(),
        }),
        received_events: ReceivedEvents::new(appender.clone()),
        room_upgrades: RoomUpgrades::new(appender.clone(), room_creator.clone(), event_sender.clone()),
        resident: Resident::new(appender, memberships.clone(), acls.clone(), readers.servers.clone()),
        event_times: EventTimes::new(storage.clone()),
        reports: Reports::new(
            storage.clone(),
            index.clone(),
            visibility.clone(),
            timelines.clone(),
            on.clock(),
        ),
        spaces: Spaces::new(RoomSummaries::new(
            storage.clone(),
            index.clone(),
            readers.events.clone(),
            states.clone(),
        )),
        relations: Relations::new(storage.clone(), timelines.clone()),
        client_events: ClientEvents::new(storage.clone(), states.clone(), on.clock()),
        members: Members::new(storage.clone(), index, states.clone(), timelines.clone()),
        aliases: Aliases::new(storage.clone(), visibility.clone(), permissions.clone(), server_name),
        room_directory: RoomDirectory::new(
            storage.clone(),
            readers.index.clone(),
            readers.events.clone(),
            states.clone(),
            permissions,
            on.server_name(),
        ),
        event_search: EventSearch::new(
            storage.clone(),
            readers.index.clone(),
            readers.events.clone(),
            states.clone(),
            visibility.clone(),
        ),
        thread_subscriptions: ThreadSubscriptions::new(
            storage.clone(),
            readers.events.clone(),
            visibility.clone(),
            timelines.clone(),
        ),
        search_backlog: SearchBacklog::new(storage.clone(), readers.events.clone()),
        user_directory: UserDirectory::new(
            storage.clone(),
            readers.index.clone(),
            readers.events.clone(),
            states.clone(),
            on.config.user_directory_shows_all,
        ),
        receipts: Receipts::new(storage.clone(), readers.events.clone(), visibility.clone(), on.clock()),
        typing: Typing::new(on.clock()),
        room_creator,
        memberships,
        event_sender,
        room_states: states,
        visibility,
        timelines,
    };
    Ok((services, acls))
}

/// What adds events to rooms; who joins a room takes its predecessor's push rules along, and has
/// their devices made known to the servers in it.
fn appender(
    on: Foundation<'_>,
    readers: &RoomReaders,
    push_rules: &PushRules,
) -> Result<Appender, RoomError> {
    let appender = Appender::new(
        on.server_name(),
        on.storage(),
        readers.index.clone(),
        readers.events.clone(),
        readers.states.clone(),
        SigningKeys::load_or_generate(on.storage)?,
        on.clock(),
    );
    let successions =
        Successions::new(on.storage(), readers.index.clone(), readers.events.clone(), push_rules.clone());
    appender.on_join(move |user, room| successions.joined(user, room));
    let introductions = DeviceIntroductions::new(on.storage());
    appender.on_join(move |user, room| introductions.joined(user, room));
    Ok(appender)
}
