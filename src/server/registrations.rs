//! Keeps application services' registrations as their folder has them: read at the start, and again when a file
//! there changes.
//!
//! The kernel tells of changes (inotify), so nothing is polled. A file that is wrong stops the start, so that it
//! is noticed; while the server runs it is reported, and what was registered stays.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use ruma::OwnedServerName;
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;

use super::{ServerError, services::StartError};
use crate::{
    api::{ApiState, blocking},
    appservices::Deliveries,
    config::Config,
    net::Shutdown,
    users::{Accounts, UserError},
};

/// How long the folder has to be left alone before it is read: editors write a file in several steps.
const SETTLING_TIME: Duration = Duration::from_millis(200);

/// The folder's registrations.
#[derive(Debug)]
pub struct Registrations {
    folder: PathBuf,
    server_name: OwnedServerName,
    accounts: Accounts,
    deliveries: Deliveries,
}

/// Reads the registrations, and makes the users of application services. `None` where no folder is known.
pub fn load(config: &Config, state: &ApiState) -> Result<Option<Registrations>, ServerError> {
    let Some(folder) = config.registrations_dir.clone() else { return Ok(None) };
    let registrations = Registrations {
        folder,
        server_name: config.server_name.clone(),
        accounts: state.users.accounts.clone(),
        deliveries: state.appservices.deliveries.clone(),
    };
    // So that there is something to follow. Where the folder of the configuration is not ours to write, its
    // owner makes it and restarts the server.
    let _ = std::fs::create_dir_all(&registrations.folder);
    registrations.read()?;
    Ok(Some(registrations))
}

impl Registrations {
    fn read(&self) -> Result<(), ServerError> {
        let registered = self.accounts.appservices().load(&self.folder, &self.server_name)?;
        self.accounts.ensure_senders().map_err(StartError::from)?;
        let ids: Vec<_> = registered.all().iter().map(|service| &service.registration.id).collect();
        if !ids.is_empty() {
            tracing::info!(?ids, "application services are registered");
        }
        self.deliveries.news().notify_one();
        Ok(())
    }

    /// Reads the folder again whenever something in it changes, until the server stops.
    pub async fn follow(self, shutdown: Shutdown) {
        let watched = match Watched::new(&self.folder) {
            Ok(watched) => watched,
            Err(error) => {
                let folder = self.folder.display();
                tracing::info!(%folder, %error, "changes of the folder of registrations need a restart");
                return;
            }
        };
        let this = std::sync::Arc::new(self);
        // What changed between the start and now was told to nobody.
        let mut is_first = true;
        loop {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = std::future::ready(()), if is_first => {}
                changed = watched.changed() => if let Err(error) = changed {
                    tracing::error!(%error, "the folder of registrations can't be watched any more");
                    return;
                },
            }
            if !std::mem::take(&mut is_first) {
                tokio::time::sleep(SETTLING_TIME).await;
            }
            let again = this.clone();
            let read = blocking::run(move || {
                if let Err(error) = again.read() {
                    tracing::error!(%error, "the registrations stay as they were");
                }
                Ok::<_, UserError>(())
            });
            // It answers no error but that the server stops.
            let _ = read.await;
        }
    }
}

/// A folder whose changes the kernel tells.
struct Watched(AsyncFd<OwnedFd>);

impl Watched {
    fn new(folder: &Path) -> io::Result<Self> {
        let inotify = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let changes = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::DELETE;
        inotify::add_watch(&inotify, folder, changes)?;
        // Deprecated for types that may answer another descriptor each time; an `OwnedFd` never does.
        #[expect(
            deprecated,
            reason = "what took its place is unsafe to call, and this is sound for an OwnedFd"
        )]
        AsyncFd::new(inotify).map(Self)
    }

    /// Waits for a change, and takes note of all there are.
    async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut has_changed = false;
            let drained = ready.try_io(|inotify| {
                let mut reader = inotify::Reader::new(inotify.get_ref(), &mut buffer);
                loop {
                    match reader.next() {
                        Ok(_) => has_changed = true,
                        Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err::<(), _>(error.into()),
                    }
                }
            });
            match drained {
                // Everything was read.
                Err(_would_block) => {}
                Ok(outcome) => outcome?,
            }
            if has_changed {
                return Ok(());
            }
        }
    }
}
