use crate::store::Value;
#[derive(Clone, Copy)]
pub enum AccessHint { None, IdleSeconds(u64), Frequency(u8) }
pub fn write_entry(out: &mut Vec<u8>, key: &[u8], value: Value<'_>, expire_at: Option<i64>, access: AccessHint, compress: bool) { let _ = (expire_at, access, compress); out.extend(key); value.with_bytes(|b| out.extend(b)); }
pub fn write_entry_front(out: &mut Vec<u8>, key: &[u8], value_bytes: usize, expire_at: Option<i64>, access: AccessHint) { let _ = (value_bytes, expire_at, access); out.extend(key); }
