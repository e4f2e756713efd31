//! The ring, sockets, buffers and mailboxes of pinned cores; knows no command.
