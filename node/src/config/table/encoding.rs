//! Up to which size a collection keeps its compact form. Applied to what is written from then on.

use crate::config::directive::*;

directives! {
    /// Thresholds of the compact encodings.
    pub struct Encoding in encoding {
        hash_max_listpack_entries: i64 = "hash-max-listpack-entries" / "hash-max-ziplist-entries",
            number(0, LONG_MAX), 0, "512";
        hash_max_listpack_value_bytes: i64 = "hash-max-listpack-value" / "hash-max-ziplist-value",
            memory(0, LONG_MAX), 0, "64";
        /// Entries of one node when positive, else -1 to -5 for 4 kB to 64 kB.
        list_max_listpack_size: i32 = "list-max-listpack-size" / "list-max-ziplist-size",
            number(INT_MIN, INT_MAX), 0, "-2";
        list_compress_depth: i32 = "list-compress-depth", number(0, INT_MAX), INERT, "0";
        set_max_intset_entries: i64 = "set-max-intset-entries", number(0, LONG_MAX), 0, "512";
        set_max_listpack_entries: i64 = "set-max-listpack-entries", number(0, LONG_MAX), 0, "128";
        set_max_listpack_value_bytes: i64 = "set-max-listpack-value", number(0, LONG_MAX), 0, "64";
        zset_max_listpack_entries: i64 = "zset-max-listpack-entries" / "zset-max-ziplist-entries",
            number(0, LONG_MAX), 0, "128";
        zset_max_listpack_value_bytes: i64 = "zset-max-listpack-value" / "zset-max-ziplist-value",
            memory(0, LONG_MAX), 0, "64";
        hll_sparse_max_bytes: i64 = "hll-sparse-max-bytes", memory(0, LONG_MAX), 0, "3000";
        stream_node_max_bytes: i64 = "stream-node-max-bytes", memory(0, LONG_MAX), 0, "4096";
        stream_node_max_entries: i64 = "stream-node-max-entries", number(0, LONG_MAX), 0, "100";
    }
}
