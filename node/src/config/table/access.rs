//! Who may do what.

use crate::config::directive::*;
use crate::config::setting::{AclPubsubDefault, Allowed, Secret, Text};

directives! {
    /// Passwords, protected mode, users, dangerous commands.
    pub struct Access in access {
        /// Without a password, refuse clients that are not local.
        protected_mode: bool = "protected-mode", Kind::Own, 0, "yes";
        requirepass: Secret = "requirepass", OPTIONAL_TEXT, SENSITIVE, "";
        aclfile: Text = "aclfile", TEXT, IMMUTABLE | GUARD, "";
        acl_pubsub_default: AclPubsubDefault = "acl-pubsub-default", Kind::Own, INERT, "resetchannels";
        acllog_max_len: i64 = "acllog-max-len", number(0, LONG_MAX), INERT, "128";
        enable_protected_configs: Allowed = "enable-protected-configs", Kind::Own, IMMUTABLE, "no";
        enable_debug_command: Allowed = "enable-debug-command", Kind::Own, IMMUTABLE, "no";
        enable_module_command: Allowed = "enable-module-command", Kind::Own, IMMUTABLE | INERT, "no";
    }
}
