//! A room built by joins, as large as `JOINS` says (200,000 if it doesn't): what each join costs on disk and in
//! bytes written, against the plain JSON of its event; and how long auth chains take to compare in it.
//!
//! Every 200 joins the power levels change, so that auth chains are long: a thousand power levels deep at the end.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::{
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use conduit::{
    rooms::{appender::Draft, resolution::StoredChains},
    state::chain_cover::{ChainPosition, ChainSource, auth_difference, is_in_auth_chain},
    storage::{Direction, Read, tables},
};
use ruma::OwnedEventId;
use support::{Server, content, median, timed, user};

const JOINS_BETWEEN_LEVELS: usize = 200;
const COMPARISONS: usize = 2_000;

fn main() {
    let joins = std::env::var("JOINS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let server = Server::start(Duration::ZERO);
    let creator = user("creator");
    let room = server.room(&creator);
    server
        .append(&room, Draft::state(&creator, "m.room.join_rules", "", content(r#"{"join_rule":"public"}"#)));
    let before = server.engine.bytes.load(Ordering::Relaxed);
    let start = Instant::now();
    let mut json_bytes = 0_u64;
    let mut members: Vec<OwnedEventId> = Vec::with_capacity(joins);
    for number in 0..joins {
        if number % JOINS_BETWEEN_LEVELS == 0 {
            let levels = format!(r#"{{"events":{{"org.example.{number}":50}}}}"#);
            server.append(&room, Draft::state(&creator, "m.room.power_levels", "", content(&levels)));
        }
        let member = user(&format!("member{number}"));
        let join = content(&format!(r#"{{"membership":"join","displayname":"Member {number}"}}"#));
        let mut batch = server.appender.begin(&room).unwrap();
        let event = batch.push(Draft::state(&member, "m.room.member", member.as_str(), join)).unwrap();
        batch.commit(None).unwrap();
        json_bytes += event.json().len() as u64;
        members.push(event.event_id().to_owned());
    }
    server.storage.durable_blocking().unwrap();
    let time = start.elapsed();
    let written = server.engine.bytes.load(Ordering::Relaxed) - before;
    let joins = joins as u64;
    println!("{joins} joins in {time:.1?}: {:.1?} a join", time / u32::try_from(joins).unwrap());
    println!("  event JSON       {:>7.0} bytes a join", json_bytes as f64 / joins as f64);
    println!(
        "  written          {:>7.0} bytes a join: {:.2} x the JSON",
        written as f64 / joins as f64,
        written as f64 / json_bytes as f64
    );
    let on_disk = folder_bytes(server.folder());
    println!(
        "  on disk          {:>7.0} bytes a join (files, log included): {:.2} x the JSON",
        on_disk as f64 / joins as f64,
        on_disk as f64 / json_bytes as f64
    );
    by_table(&server, joins);
    compare_auth_chains(&server, &members);
}

/// Keys and values of each table, as a reader sees them.
fn by_table(server: &Server, joins: u64) {
    println!("  of which, by table, before compression:");
    let mut sums: Vec<(u64, &str)> = Vec::new();
    for table in tables::ALL {
        let (lower, upper) = ([table.number], [table.number + 1]);
        let rows = server.storage.raw_scan(table.family, &lower, Some(&upper), Direction::Forward);
        let bytes = rows.map(|row| row.unwrap()).map(|(key, value)| (key.len() + value.len()) as u64).sum();
        sums.push((bytes, table.name));
    }
    sums.sort_unstable();
    for (bytes, name) in sums.into_iter().rev().filter(|(bytes, _)| *bytes > joins) {
        println!("    {name:<24} {:>7.1} bytes a join", bytes as f64 / joins as f64);
    }
}

fn compare_auth_chains(server: &Server, members: &[OwnedEventId]) {
    let chains = StoredChains(&server.storage);
    let place = |event: &OwnedEventId| -> ChainPosition {
        let short = server.storage.short_event_id(event).unwrap().unwrap();
        chains.position(short.0).unwrap().unwrap()
    };
    let distance = members.len() / 2;
    let mut times = Vec::new();
    let mut reached = Vec::new();
    for number in 0..COMPARISONS {
        let at = number * 31 % (members.len() - distance);
        let (early, late) = (place(&members[at]), place(&members[at + distance]));
        times.push(timed(|| {
            let difference = auth_difference(&chains, &[vec![early], vec![late]]).unwrap();
            assert!(!difference.is_empty());
        }));
        reached.push(timed(|| {
            is_in_auth_chain(&chains, early, late).unwrap();
        }));
    }
    println!("two joins {distance} joins apart, {COMPARISONS} pairs:");
    let worst = times.iter().max().copied().unwrap_or_default();
    println!("  auth difference            {:>9.1?} (worst {worst:.1?})", median(times));
    println!("  is one in the other's chain {:>8.1?}", median(reached));
}

fn folder_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        bytes += if meta.is_dir() { folder_bytes(&entry.path()) } else { meta.len() };
    }
    bytes
}
