//! What keys and idle connections cost: growth of the server process (proportional set size) once it stands
//! still. Kernel memory for sockets is not in it, for nobody.

use std::time::Duration;

use crate::client::{Client, Reply};
use crate::error::Failure;
use crate::keys::{KeyShape, fill, read_back};
use crate::process::settled_pss_bytes;
use crate::server::Server;

/// Servers rehash and trim in their cron, a few times a second.
const KEYS_QUIET: Duration = Duration::from_millis(800);
/// Redis and Valkey give an idle client's buffers back after two seconds.
const CONNECTIONS_QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(12);

/// Bytes of growth per key when `count` keys of 11 bytes with values of 32 bytes are set in an empty server.
pub fn bytes_per_key(server: &Server, count: u64) -> Result<f64, Failure> {
    let mut client = server.client()?;
    let before = settled_pss_bytes(server.pid, KEYS_QUIET, PATIENCE)?;
    fill(&mut client, KeyShape::Short, count, 32)?;
    // Tables that grow by small steps take one with each command: reading all keys finishes the last growth,
    // so that no old table is counted beside the new one.
    read_back(&mut client, KeyShape::Short, count, 32)?;
    let after = settled_pss_bytes(server.pid, KEYS_QUIET, PATIENCE)?;
    Ok(after.saturating_sub(before) as f64 / count as f64)
}

/// Bytes of growth per connection when `count` connections have each sent one PING and then stay silent.
pub fn bytes_per_idle_connection(server: &Server, count: usize) -> Result<f64, Failure> {
    let failed = || Failure::io("holding idle connections");
    let before = settled_pss_bytes(server.pid, KEYS_QUIET, PATIENCE)?;
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = Client::connect(server.port).map_err(failed())?;
        match client.command(&[b"PING"]).map_err(failed())? {
            Reply::Simple(_) => clients.push(client),
            other => {
                let what = format!("connection {} was answered {other:?}", clients.len() + 1);
                return Err(Failure::server(&server.name, what));
            }
        }
    }
    let after = settled_pss_bytes(server.pid, CONNECTIONS_QUIET, PATIENCE)?;
    // All of them must still be there, or the figure is of something else.
    for client in &mut clients {
        client.command(&[b"PING"]).map_err(failed())?;
    }
    Ok(after.saturating_sub(before) as f64 / count as f64)
}
