//! Where the node listens.

use crate::config::directive::*;
use crate::config::setting::{Bind, Text};

directives! {
    /// Addresses, ports and socket options.
    pub struct Network in network {
        bind: Bind = "bind", Kind::Own, MULTI, "* -::*";
        /// Zero listens on no TCP port.
        port: u16 = "port", number(0, 65535), 0, "6379";
        tcp_backlog: u32 = "tcp-backlog", number(0, INT_MAX), IMMUTABLE, "511";
        /// Seconds between probes of an idle connection; zero sends none.
        tcp_keepalive_seconds: u32 = "tcp-keepalive", number(0, INT_MAX), 0, "300";
        /// A path, or empty for none.
        unixsocket: Text = "unixsocket", OPTIONAL_TEXT, IMMUTABLE, "";
        /// Zero leaves the mode as the umask makes it.
        unixsocketperm: u32 = "unixsocketperm", octal(0o777), IMMUTABLE, "0";
        bind_source_addr: Text = "bind-source-addr", OPTIONAL_TEXT, INERT, "";
        socket_mark_id: u32 = "socket-mark-id", number(0, UINT_MAX), IMMUTABLE | INERT, "0";
    }
}
