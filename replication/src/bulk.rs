//! The frame of a full sync.
