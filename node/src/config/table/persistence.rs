//! What is kept on disk.

use crate::config::directive::*;
use crate::config::setting::{
    AppendFsync, Directory, RdbCompat, SanitizeDumpPayload, SavePoints, Text, check,
};

directives! {
    /// Snapshots and the append-only file.
    pub struct Persistence in persistence {
        dir: Directory = "dir", Kind::Own, PROTECTED | DENY_LOADING, ".";
        save: SavePoints = "save", Kind::Own, MULTI, "3600 1 300 100 60 10000";
        dbfilename: Text = "dbfilename", checked_text(check::db_filename), PROTECTED, "dump.rdb";
        rdbcompression: bool = "rdbcompression", Kind::Own, 0, "yes";
        rdbchecksum: bool = "rdbchecksum", Kind::Own, IMMUTABLE, "yes";
        rdb_compat: RdbCompat = "rdb-compat", Kind::Own, 0, "auto";
        rdb_del_sync_files: bool = "rdb-del-sync-files", Kind::Own, INERT, "no";
        rdb_save_incremental_fsync: bool = "rdb-save-incremental-fsync", Kind::Own, INERT, "yes";
        rdb_key_save_delay: i32 = "rdb-key-save-delay", number(INT_MIN, INT_MAX), HIDDEN | INERT, "0";
        key_load_delay: i32 = "key-load-delay", number(INT_MIN, INT_MAX), HIDDEN | INERT, "0";
        loading_process_events_interval_bytes: i64 = "loading-process-events-interval-bytes",
            number(1024, INT_MAX), HIDDEN | INERT, "2097152";
        stop_writes_on_bgsave_error: bool = "stop-writes-on-bgsave-error", Kind::Own, 0, "yes";
        sanitize_dump_payload: SanitizeDumpPayload = "sanitize-dump-payload", Kind::Own, INERT, "no";
        appendonly: bool = "appendonly", Kind::Own, DENY_LOADING | GUARD, "no";
        appendfsync: AppendFsync = "appendfsync", Kind::Own, INERT, "everysec";
        appendfilename: Text = "appendfilename", checked_text(check::append_filename), IMMUTABLE | INERT,
            "appendonly.aof";
        appenddirname: Text = "appenddirname", checked_text(check::append_dirname), IMMUTABLE | INERT,
            "appendonlydir";
        no_appendfsync_on_rewrite: bool = "no-appendfsync-on-rewrite", Kind::Own, INERT, "no";
        auto_aof_rewrite_percentage: u32 = "auto-aof-rewrite-percentage", number(0, INT_MAX), INERT, "100";
        auto_aof_rewrite_min_size_bytes: i64 = "auto-aof-rewrite-min-size", memory(0, LONG_MAX), INERT, "64mb";
        aof_load_truncated: bool = "aof-load-truncated", Kind::Own, INERT, "yes";
        aof_use_rdb_preamble: bool = "aof-use-rdb-preamble", Kind::Own, INERT, "yes";
        aof_timestamp_enabled: bool = "aof-timestamp-enabled", Kind::Own, INERT, "no";
        aof_rewrite_incremental_fsync: bool = "aof-rewrite-incremental-fsync", Kind::Own, INERT, "yes";
        aof_disable_auto_gc: bool = "aof-disable-auto-gc", Kind::Own, HIDDEN | INERT, "no";
    }
}
