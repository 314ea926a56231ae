//! Generated rooms.
//!
//! The default run resolves [`RESOLUTIONS_DEFAULT`] forks. The full run:
//!
//! ```sh
//! STATE_RESOLUTION_RUNS=100000 cargo test --release --test state_resolution generated -- --nocapture
//! ```
//!
//! A failure prints the seed, and the room after every step that the failure does not need was left out.
//! To run that room again: `STATE_RESOLUTION_SEED=<seed> cargo test --test state_resolution generated`.

use std::env;

use ruma::RoomVersionId;

use super::{
    random::Random,
    room::{Room, Step},
};

/// Forks resolved by the default run, over all versions.
const RESOLUTIONS_DEFAULT: usize = 300;
/// The versions: 1 against the specification's algorithm, the others against `ruma-state-res`.
const VERSIONS: [RoomVersionId; 7] = [
    RoomVersionId::V1,
    RoomVersionId::V2,
    RoomVersionId::V6,
    RoomVersionId::V8,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];
/// Steps of an ordinary room, and of one in [`LONG_ROOM_ONE_IN`].
const STEPS: usize = 150;
const STEPS_LONG: usize = 3_000;
const LONG_ROOM_ONE_IN: usize = 200;

/// A room as a list of seeds, one for each step, so that steps can be left out.
struct Script {
    version: RoomVersionId,
    salt: u64,
    steps: Vec<u64>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let version = random.pick(&VERSIONS).clone();
        let salt = random.next();
        let count = if random.one_in(LONG_ROOM_ONE_IN) { STEPS_LONG } else { STEPS };
        Self { version, salt, steps: (0..count).map(|_| random.next()).collect() }
    }

    /// Plays the room; how many forks were resolved.
    fn play(&self, steps: &[u64]) -> Result<usize, String> {
        let mut room = Room::new(&self.version, self.salt);
        let mut resolved = 0;
        for seed in steps {
            resolved += usize::from(room.step(*seed)? == Step::Resolved);
        }
        room.check_arrival(self.salt)?;
        Ok(resolved)
    }

    /// The failure with as few steps as can be found by leaving out ever smaller parts.
    fn shrink(&self, mut failure: String) -> String {
        let mut steps = self.steps.clone();
        let mut part = steps.len().div_ceil(2);
        loop {
            let mut start = 0;
            while start < steps.len() {
                let mut fewer = steps.clone();
                fewer.drain(start..(start + part).min(steps.len()));
                match self.play(&fewer) {
                    Err(smaller) => {
                        steps = fewer;
                        failure = smaller;
                    }
                    Ok(_) => start += part,
                }
            }
            if part == 1 {
                return failure;
            }
            part = part.div_ceil(2);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn generated_rooms_resolve_as_the_oracle_does() {
    let replayed = number("STATE_RESOLUTION_SEED");
    let wanted = number("STATE_RESOLUTION_RUNS").map_or(RESOLUTIONS_DEFAULT, |runs| runs.try_into().unwrap());
    let mut seed = replayed.unwrap_or(1);
    let (mut resolved, mut rooms) = (0, 0);
    while resolved < wanted {
        let script = Script::new(seed);
        match script.play(&script.steps) {
            Ok(count) => resolved += count,
            Err(failure) => panic!(
                "STATE_RESOLUTION_SEED={seed}\n{}\nreplay: see tests/state_resolution/generated.rs",
                script.shrink(failure)
            ),
        }
        rooms += 1;
        seed += 1;
        if replayed.is_some() {
            break;
        }
        if rooms % 1_000 == 0 {
            println!("{resolved} resolutions in {rooms} rooms");
        }
    }
    println!("{resolved} resolutions in {rooms} rooms, all equal");
}
