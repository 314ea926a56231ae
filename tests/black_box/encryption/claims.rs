//! One-time keys: none is given out twice, and none is lost but those whose answer was on its way when the server
//! was killed.
//!
//! `CONDUIT_TEST_CLAIMS=600` runs a smaller test.

use std::{
    collections::HashSet,
    env,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::harness::{Client, Server, ServerSettings};

const CLAIMERS: usize = 32;
const CRASHES: usize = 3;
/// Keys uploaded by one request, as clients do.
const KEYS_AT_ONCE: usize = 50;
/// Keys that wait at a time, below what the server keeps for a device.
const KEYS_WAITING_MAX: u64 = 400;
const CLAIMS_DEFAULT: usize = 10_000;

struct Scene {
    owner: Client,
    claimers: Vec<Client>,
    given: Mutex<Vec<String>>,
    /// Claims that were not answered.
    unanswered: AtomicUsize,
}

impl Scene {
    /// Uploads keys, of which those from `from` on are new, until enough wait; the number of the next key.
    fn fill(&self, mut from: usize) -> usize {
        loop {
            let key = |n: usize| {
                (format!("signed_curve25519:K{n}"), json!({ "key": format!("{n}"), "signatures": {} }))
            };
            let keys: serde_json::Map<String, Value> = (from..from + KEYS_AT_ONCE).map(key).collect();
            let answer =
                self.owner.post("/_matrix/client/v3/keys/upload", json!({ "one_time_keys": keys })).ok();
            let waiting = answer["one_time_key_counts"]["signed_curve25519"].as_u64().unwrap();
            from += KEYS_AT_ONCE;
            if waiting >= KEYS_WAITING_MAX {
                return from;
            }
        }
    }

    /// Claims until there are no keys left or the server is gone.
    fn claim(&self, claimer: usize) {
        let wanted = json!({ &self.owner.user_id: { &self.owner.device_id: "signed_curve25519" } });
        let body = json!({ "one_time_keys": wanted }).to_string();
        loop {
            let path = "/_matrix/client/v3/keys/claim";
            let Ok(answer) = self.claimers[claimer].try_raw("POST", path, Some(body.as_bytes())) else {
                self.unanswered.fetch_add(1, Ordering::SeqCst);
                return;
            };
            let answer = answer.ok();
            let keys = &answer["one_time_keys"][&self.owner.user_id][&self.owner.device_id];
            let Some(keys) = keys.as_object() else { return };
            self.given.lock().unwrap().extend(keys.keys().cloned());
        }
    }
}

#[test]
fn no_key_is_given_twice_and_none_is_lost() {
    let claims = env::var("CONDUIT_TEST_CLAIMS").map_or(CLAIMS_DEFAULT, |n| n.parse().expect("a number"));
    let settings = ServerSettings { ..Default::default() };
    let mut server = Server::start_with(&settings);
    let owner = server.register("owner");
    let claimer = server.register("claimer");
    let claimers = vec![claimer; CLAIMERS];
    let mut scene = Scene { owner, claimers, given: Mutex::default(), unanswered: AtomicUsize::new(0) };
    let (mut uploaded, mut crashed) = (0, 0);
    while uploaded < claims || crashed < CRASHES {
        uploaded = scene.fill(uploaded);
        // The crashes are spread over the whole.
        let crashes = crashed < CRASHES && uploaded > claims * crashed / CRASHES;
        let before = scene.given.lock().unwrap().len();
        thread::scope(|scope| {
            for claimer in 0..CLAIMERS {
                let scene = &scene;
                scope.spawn(move || scene.claim(claimer));
            }
            if crashes {
                while scene.given.lock().unwrap().len() < before + KEYS_AT_ONCE {
                    thread::yield_now();
                }
                server.kill();
            }
        });
        if crashes {
            crashed += 1;
            server.restart();
            let base_url = server.base_url().to_owned();
            scene.owner = scene.owner.moved_to(&base_url);
            scene.claimers.iter_mut().for_each(|claimer| *claimer = claimer.moved_to(&base_url));
        }
    }
    scene.claim(0);
    let given = scene.given.lock().unwrap();
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len(), "a key was given twice");
    let lost = uploaded - given.len();
    let unanswered = scene.unanswered.load(Ordering::SeqCst);
    println!("{uploaded} keys, {} given, {lost} lost of {unanswered} unanswered claims", given.len());
    assert!(lost <= unanswered, "{lost} keys are gone, {unanswered} claims were not answered");
    assert!(server.stop().success());
    server.assert_check_finds_nothing();
}
