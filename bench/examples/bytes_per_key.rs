//! What a key costs: growth of the process for a million 11-byte keys with 32-byte values, tables and allocator
//! included. Arguments: number of keys, bytes of each value.

use ringfort_core::store::{Database, Expiry, Hasher};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let keys: usize = arguments.next().unwrap_or(1_000_000);
    let value_bytes: usize = arguments.next().unwrap_or(32);
    let hasher = Hasher::new([1, 2, 3, 4]);
    let mut database = Database::new(hasher.clone());
    let value = vec![b'v'; value_bytes];
    let before = resident_bytes();
    for number in 0..keys {
        let key = format!("key:{number:07}");
        database.set_string(&hasher.key(key.as_bytes()), &value, Expiry::Clear, 0);
    }
    let grown = resident_bytes() - before;
    let per_key = |bytes: usize| bytes as f64 / keys as f64;
    println!(
        "{keys} keys with {value_bytes}-byte values: {:.1} bytes each resident ({:.1} entry, {:.1} table)",
        per_key(grown),
        per_key(database.entry_bytes()),
        per_key(database.table_bytes())
    );
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line =
        status.lines().find(|line| line.starts_with("VmRSS:")).expect("every process has one");
    line.split_whitespace().nth(1).expect("in kB").parse::<usize>().expect("a number") * 1024
}
