//! The shell of FAILOVER.

use crate::core::Core;

/// INFO's master_failover_state.
pub fn failover_word(_core: &Core) -> &'static str {
    "no-failover"
}
