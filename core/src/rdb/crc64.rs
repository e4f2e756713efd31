pub fn checksum(seed: u64, bytes: &[u8]) -> u64 { let _ = bytes; seed }
pub fn combine(first: u64, second: u64, second_bytes: u64) -> u64 { let _ = (second, second_bytes); first }
