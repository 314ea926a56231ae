//! Places for filling gaps: so many in all, and fewer for what any one server sends, so that a server that answers
//! its own questions slowly keeps nobody else waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedServerName, ServerName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits;

/// The places.
pub(super) struct FillingPlaces {
    all: Arc<Semaphore>,
    of_servers: Mutex<HashMap<OwnedServerName, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    _of_server: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for FillingPlaces {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(limits::INBOUND_FILLING_MAX)), of_servers: Mutex::default() }
    }
}

impl FillingPlaces {
    /// Waits for a place to fill a gap before an event that `origin` has sent; `None` when the server is stopping.
    pub(super) async fn enter(&self, origin: &ServerName) -> Option<Place> {
        // First that of the server: who waits for it holds none of all.
        let of_server = self.of_server(origin).acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _of_server: of_server, _of_all: of_all })
    }

    fn of_server(&self, origin: &ServerName) -> Arc<Semaphore> {
        let mut of_servers = self.of_servers.lock().unwrap_or_else(PoisonError::into_inner);
        if of_servers.len() >= limits::INBOUND_FILLING_SERVERS_REMEMBERED {
            // Whoever has a place, or waits for one, has a copy.
            of_servers.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let places = of_servers.entry(origin.to_owned());
        places.or_insert_with(|| Arc::new(Semaphore::new(limits::INBOUND_FILLING_SERVER_MAX))).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ruma::server_name;
    use tokio::time::timeout;

    use super::*;

    async fn try_enter(places: &FillingPlaces, origin: &ServerName) -> Option<Place> {
        timeout(Duration::ZERO, places.enter(origin)).await.ok().flatten()
    }

    #[tokio::test]
    async fn one_server_does_not_take_all_places() {
        let places = FillingPlaces::default();
        let (slow, other) = (server_name!("slow.test"), server_name!("other.test"));
        let mut taken = Vec::new();
        while let Some(place) = try_enter(&places, slow).await {
            taken.push(place);
        }
        assert_eq!(taken.len(), limits::INBOUND_FILLING_SERVER_MAX);
        assert!(try_enter(&places, other).await.is_some());
        taken.pop();
        assert!(try_enter(&places, slow).await.is_some());
    }

    #[tokio::test]
    async fn servers_are_forgotten() {
        let places = FillingPlaces::default();
        let kept = try_enter(&places, server_name!("kept.test")).await.unwrap();
        for number in 0..3 * limits::INBOUND_FILLING_SERVERS_REMEMBERED {
            let server = OwnedServerName::try_from(format!("s{number}.test")).unwrap();
            assert!(try_enter(&places, &server).await.is_some());
        }
        let remembered = places.of_servers.lock().unwrap();
        assert!(remembered.len() <= limits::INBOUND_FILLING_SERVERS_REMEMBERED);
        assert!(remembered.contains_key(server_name!("kept.test")));
        drop(kept);
    }
}
