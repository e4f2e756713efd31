//! Ringfort's own: how the node spreads over cores. Redis knows none of these.

use crate::config::directive::*;
use crate::config::setting::PipelineOrder;

directives! {
    /// Shards and the rounds of their cores.
    pub struct Sharding in sharding {
        /// Zero is one shard per CPU that the process may use.
        shards: u32 = "shards", number(0, 1024), IMMUTABLE, "0";
        /// How long a core looks for work before it sleeps, in microseconds.
        io_spin_us: u32 = "io-spin-us", number(0, 1_000_000), 0, "50";
        pipeline_order: PipelineOrder = "pipeline-order", Kind::Own, 0, "strict";
    }
}
