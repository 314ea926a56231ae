//! What rows say: plain records, one file a subject. Their meaning lives in the services that write them.

mod activity;
mod administration;
mod appservices;
mod backups;
mod chains;
mod delayed;
mod directory;
mod encryption;
mod inbound;
mod media;
mod outgoing;
mod push;
mod receipts;
mod relations;
mod remote_devices;
mod reports;
mod rooms;
mod servers;
mod subscriptions;
mod users;

pub use activity::{RoomActivity, RoomKind};
pub use administration::{DeletionPhase, RegistrationTokenRecord, RoomBlockRecord, RoomDeletionRecord};
pub use appservices::{AppserviceDelivery, QueuedForAppservice};
pub use backups::BackupRecord;
pub use chains::{ChainEntryRow, ChainLinkRow, ChainPlaceRow, ChainSequence};
pub use delayed::{DelayedEventRecord, DelayedOutcome};
pub use directory::DirectoryEntry;
pub use encryption::{DehydratedDeviceRecord, FallbackKey, KeyStock};
pub use inbound::InboundPduRow;
pub use media::{FileHash, MediaKind, MediaRecord, ThumbnailRecord, UrlPreviewRecord};
pub use outgoing::{DestinationRow, InFlight};
pub use push::{PusherRecord, QueuedPush, UnreadEvent, UnreadRow};
pub use receipts::{ReceiptKind, ReceiptRow};
pub use relations::{RelationRow, RelationSummary};
pub use remote_devices::{RemoteDevice, RemoteDeviceList};
pub use reports::ReportRecord;
pub use rooms::{EventMeta, EventStatus, Membership, MembershipRow, RoomHead, RoomRecord};
pub use servers::{DestinationFailures, KeyDocumentRecord, ServerKeyRecord, ServerKeysRecord};
pub use subscriptions::{SubscriptionState, ThreadSubscriptionRow};
pub use users::{
    AccountDataRow, AccountRecord, DeviceRecord, LastSeenRecord, MessageRateOverride, RefreshRecord,
};
