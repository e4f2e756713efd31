//! Limits on clients.

use crate::config::directive::*;
use crate::config::setting::{ClientMemory, OutputLimits};

directives! {
    /// How many clients, how long idle, how much each may hold.
    pub struct Clients in clients {
        maxclients: u32 = "maxclients", number(1, UINT_MAX), 0, "10000";
        /// Close a client that was idle for so many seconds; zero never.
        timeout_seconds: u32 = "timeout", number(0, INT_MAX), 0, "0";
        client_query_buffer_limit_bytes: i64 = "client-query-buffer-limit", memory(1 << 20, LONG_MAX), 0, "1gb";
        client_output_buffer_limit: OutputLimits = "client-output-buffer-limit", Kind::Own, MULTI,
            "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60";
        proto_max_bulk_len_bytes: i64 = "proto-max-bulk-len", memory(1 << 20, LONG_MAX), 0, "512mb";
        maxmemory_clients: ClientMemory = "maxmemory-clients", Kind::Own, 0, "0";
        tracking_table_max_keys: i64 = "tracking-table-max-keys", number(0, LONG_MAX), INERT, "1000000";
        busy_reply_threshold_ms: i64 = "busy-reply-threshold" / "lua-time-limit", number(0, LONG_MAX), INERT, "5000";
    }
}
