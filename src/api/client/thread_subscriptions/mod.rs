//! Which threads a user follows (MSC4306, MSC4308).

mod changes;
mod subscription;

use ruma::api::client::threads::{
    get_thread_subscription, get_thread_subscriptions_changes, subscribe_thread, unsubscribe_thread,
};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_thread_subscription::unstable::Request, _, _>(subscription::get)
        .add::<subscribe_thread::unstable::Request, _, _>(subscription::subscribe)
        .add::<unsubscribe_thread::unstable::Request, _, _>(subscription::unsubscribe)
        .add::<get_thread_subscriptions_changes::unstable::Request, _, _>(changes::changes)
}
