//! Encryption, which does not work yet: asking for it stops the start.

use crate::config::directive::*;
use crate::config::setting::{Secret, Text, TlsAuthClients};

directives! {
    /// Ports, certificates, sessions.
    pub struct Tls in tls {
        tls_port: u16 = "tls-port", number(0, 65535), GUARD, "0";
        tls_replication: bool = "tls-replication", Kind::Own, GUARD, "no";
        tls_cluster: bool = "tls-cluster", Kind::Own, GUARD, "no";
        tls_auth_clients: TlsAuthClients = "tls-auth-clients", Kind::Own, INERT, "yes";
        tls_prefer_server_ciphers: bool = "tls-prefer-server-ciphers", Kind::Own, INERT, "no";
        tls_session_caching: bool = "tls-session-caching", Kind::Own, INERT, "yes";
        tls_session_cache_size: u32 = "tls-session-cache-size", number(0, INT_MAX), INERT, "20480";
        tls_session_cache_timeout_seconds: u32 = "tls-session-cache-timeout", number(0, INT_MAX), INERT, "300";
        tls_cert_file: Text = "tls-cert-file", OPTIONAL_TEXT, INERT, "";
        tls_key_file: Text = "tls-key-file", OPTIONAL_TEXT, INERT, "";
        tls_key_file_pass: Secret = "tls-key-file-pass", OPTIONAL_TEXT, SENSITIVE | INERT, "";
        tls_client_cert_file: Text = "tls-client-cert-file", OPTIONAL_TEXT, INERT, "";
        tls_client_key_file: Text = "tls-client-key-file", OPTIONAL_TEXT, INERT, "";
        tls_client_key_file_pass: Secret = "tls-client-key-file-pass", OPTIONAL_TEXT, SENSITIVE | INERT, "";
        tls_dh_params_file: Text = "tls-dh-params-file", OPTIONAL_TEXT, INERT, "";
        tls_ca_cert_file: Text = "tls-ca-cert-file", OPTIONAL_TEXT, INERT, "";
        tls_ca_cert_dir: Text = "tls-ca-cert-dir", OPTIONAL_TEXT, INERT, "";
        tls_protocols: Text = "tls-protocols", OPTIONAL_TEXT, INERT, "";
        tls_ciphers: Text = "tls-ciphers", OPTIONAL_TEXT, INERT, "";
        tls_ciphersuites: Text = "tls-ciphersuites", OPTIONAL_TEXT, INERT, "";
    }
}
