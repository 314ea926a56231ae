//! Files that users share: the store, thumbnails, previews of links, and media of other servers.
