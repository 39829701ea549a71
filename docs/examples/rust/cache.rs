//! A cache that holds as much as the memory limit lets it.
//!   Build: rustc -O -o rust_cache cache.rs
//!   Run:   plimsoll run -m 128Mi -- ./rust_cache
//! --no-reclaimer shows what happens without one: the kernel kills the program.

mod plimsoll;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Cache {
    entries: Mutex<VecDeque<Vec<u8>>>,
}

impl Cache {
    fn add(&self, value: Vec<u8>) {
        self.entries.lock().unwrap().push_back(value);
    }

    /// Drops the oldest values. Takes the lock anew for each, so that nobody waits for all of them.
    fn shrink(&self, target: usize) -> usize {
        let mut freed = 0;
        while freed < target {
            let oldest = self.entries.lock().unwrap().pop_front();
            match oldest {
                Some(value) => freed += value.len(),
                None => break,
            }
        }
        freed
    }

    fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }
}

fn main() -> std::io::Result<()> {
    let cache = Arc::new(Cache::default());
    let mut reclaimer = None;
    if std::env::args().nth(1).as_deref() != Some("--no-reclaimer") {
        let shared = Arc::clone(&cache);
        reclaimer = plimsoll::Reclaimer::new("cache", plimsoll::MEDIUM, move |pressure| {
            shared.shrink(pressure.target as usize)
        })
        .map_err(|error| eprintln!("runs without a reclaimer: {error}")) // Plimsoll may be off
        .ok();
    }
    let threads: Vec<_> = (0..plimsoll::cpus())
        .map(|n| {
            let cache = Arc::clone(&cache);
            let share = 20000 / plimsoll::cpus();
            std::thread::spawn(move || (0..share).for_each(|_| cache.add(vec![n as u8 + 1; 20000])))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(reclaimer);
    println!("cached={} level={}", cache.len(), plimsoll::level());
    Ok(())
}
