//! The process: how it runs, logs, and ends.

use crate::config::directive::*;
use crate::config::setting::{
    LogLevel, OomScoreAdj, OomScoreAdjValues, ShutdownOn, Supervised, SyslogFacility, Text, check,
};

directives! {
    /// Foreground or daemon, log, pid file, shutdown.
    pub struct Process in process {
        daemonize: bool = "daemonize", Kind::Own, IMMUTABLE, "no";
        supervised: Supervised = "supervised", Kind::Own, IMMUTABLE, "no";
        pidfile: Text = "pidfile", OPTIONAL_TEXT, IMMUTABLE, "";
        loglevel: LogLevel = "loglevel", Kind::Own, 0, "notice";
        /// A path, or empty for standard output.
        logfile: Text = "logfile", TEXT, IMMUTABLE, "";
        syslog_enabled: bool = "syslog-enabled", Kind::Own, IMMUTABLE | INERT, "no";
        syslog_ident: Text = "syslog-ident", TEXT, IMMUTABLE | INERT, "redis";
        syslog_facility: SyslogFacility = "syslog-facility", Kind::Own, IMMUTABLE | INERT, "local0";
        databases: u32 = "databases", number(1, INT_MAX), IMMUTABLE, "16";
        /// How often a second background work runs; kept between 1 and 500.
        hz: i32 = "hz", number(0, INT_MAX), 0, "10";
        dynamic_hz: bool = "dynamic-hz", Kind::Own, INERT, "yes";
        always_show_logo: bool = "always-show-logo", Kind::Own, IMMUTABLE, "no";
        set_proc_title: bool = "set-proc-title", Kind::Own, IMMUTABLE | INERT, "yes";
        proc_title_template: Text = "proc-title-template", checked_text(check::proc_title_template), INERT,
            "{title} {listen-addr} {server-mode}";
        shutdown_on_sigint: ShutdownOn = "shutdown-on-sigint", Kind::Own, MULTI, "default";
        shutdown_on_sigterm: ShutdownOn = "shutdown-on-sigterm", Kind::Own, MULTI, "default";
        /// How long a shutdown waits for replicas.
        shutdown_timeout_seconds: u32 = "shutdown-timeout", number(0, INT_MAX), 0, "10";
        crash_log_enabled: bool = "crash-log-enabled", Kind::Own, INERT, "yes";
        crash_memcheck_enabled: bool = "crash-memcheck-enabled", Kind::Own, INERT, "yes";
        use_exit_on_panic: bool = "use-exit-on-panic", Kind::Own, HIDDEN | INERT, "no";
        watchdog_period: u32 = "watchdog-period", number(0, INT_MAX), HIDDEN | INERT, "0";
        disable_thp: bool = "disable-thp", Kind::Own, IMMUTABLE | INERT, "yes";
        oom_score_adj: OomScoreAdj = "oom-score-adj", Kind::Own, INERT, "no";
        oom_score_adj_values: OomScoreAdjValues = "oom-score-adj-values", Kind::Own, MULTI | INERT, "0 200 800";
        ignore_warnings: Text = "ignore-warnings", TEXT, INERT, "";
        locale_collate: Text = "locale-collate", TEXT, INERT, "";
        server_cpulist: Text = "server_cpulist", OPTIONAL_TEXT, IMMUTABLE | INERT, "";
        bio_cpulist: Text = "bio_cpulist", OPTIONAL_TEXT, IMMUTABLE | INERT, "";
        aof_rewrite_cpulist: Text = "aof_rewrite_cpulist", OPTIONAL_TEXT, IMMUTABLE | INERT, "";
        bgsave_cpulist: Text = "bgsave_cpulist", OPTIONAL_TEXT, IMMUTABLE | INERT, "";
        io_threads: u32 = "io-threads", number(1, 128), IMMUTABLE | INERT, "1";
        io_threads_do_reads: bool = "io-threads-do-reads", Kind::Own, IMMUTABLE | INERT, "no";
    }
}
