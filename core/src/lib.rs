//! Keys, values, expiry, the command table, sessions and RESP.
//!
//! Deliberately absent: sockets, clocks and threads. Time and randomness come in as arguments.
