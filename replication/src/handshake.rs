//! The replica's side of the handshake.
