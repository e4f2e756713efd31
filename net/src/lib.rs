//! The ring, sockets, buffers and mailboxes of pinned cores; knows no command.
//!
//! One core of the node is one glommio executor pinned to one CPU ([`cpu`]). In its thread live one socket ring
//! ([`ring`]) and one mailbox ([`mailbox`]) with a lane to and from every other core; when there is nothing to
//! do it sleeps ([`park`]) until its ring or another core wakes it. Nothing here is shared
//! between cores except the lanes and the parked flag.
//!
//! Absent on purpose: commands, slots, roles, and any use of `glommio::net`.

pub mod blocking;
pub mod buffers;
pub mod clock;
pub mod connect;
pub mod cpu;
pub mod listen;
pub mod mailbox;
pub mod park;
pub mod ring;

pub use buffers::ReceiveBuffer;
pub use clock::Ticks;
pub use mailbox::{Mailbox, mesh};
pub use park::{Parker, PlainParker, Spin, Waker};
pub use ring::{ConnectionSlot, EndReason, Event, Ring, RingError, RingOptions, Token};
