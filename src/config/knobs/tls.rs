//! The knobs of TLS, which in the file stand in `[tls]` without their first word, and of load balancers.

use super::{Choice, Kind, Knob, List, Shelf, Toggle};
use crate::config::fields::choice;
use crate::config::knob::Group;
use crate::config::tls::{ClientCerts, TlsMode, TlsVersion};

/// A [`Shelf`] over a field of `config.tls`.
macro_rules! shelf {
    ($($field:ident).+) => {
        Kind::PathOrWord(Shelf {
            placeholder: "FILE",
            word: "auto",
            read: |config| config.tls.$($field).+.as_deref(),
            write: |config, path| config.tls.$($field).+ = path,
        })
    };
}

/// A [`Toggle`] over a field of `config.tls`.
macro_rules! toggle {
    ($field:ident) => {
        Kind::Switch(Toggle {
            read: |config| config.tls.$field,
            write: |config, is_on| config.tls.$field = is_on,
        })
    };
}

pub(super) const LISTEN: Knob = Knob {
    name: "tls-listen",
    group: Group::Tls,
    kind: Kind::Endpoints(List {
        read: |config| &config.tls.listen,
        slot: |config| &mut config.tls.listen,
        none: Some("off"),
    }),
    brief: "Where to accept connections that speak TLS (wss, https); repeat it for several",
    story: "Addresses as in --listen, beside those. Whoever speaks plain HTTP there is told so. A \
        certificate has to come with it; throng dev-cert makes one to try it with. Of sockets that \
        systemd passes on, those named tls (FileDescriptorName=tls) take its place.",
    example: "0.0.0.0:443",
    also: &[
        "wss",
        "https",
        "ssl",
        "tls",
        "listen-tls",
        "tls-port",
        "ssl-port",
    ],
};

pub(super) const PROXY_FROM: Knob = Knob {
    name: "proxy-from",
    group: Group::Serving,
    kind: Kind::Sources(List {
        read: |config| &config.proxy_from,
        slot: |config| &mut config.proxy_from,
        none: Some("off"),
    }),
    brief: "Load balancers that say who the client is (PROXY protocol 1 or 2), on every listener",
    story: "Networks as 10.0.0.0/8, addresses, or unix for whoever comes over a Unix socket. Connections \
        from there have to begin with such a header, within --handshake-timeout; one that does not is \
        refused, health checks included (they may say LOCAL or UNKNOWN). Limits per address, and the \
        application, then see the client's own. A header from anywhere else is a bad request: \
        anybody can write one. With a balancer in front, nobody counts as being of this machine.",
    example: "10.0.0.0/8",
    also: &[
        "proxy-protocol",
        "trusted-proxies",
        "accept-proxy",
        "real-ip-from",
    ],
};

pub(super) const CERT: Knob = Knob {
    name: "tls-cert",
    group: Group::Tls,
    kind: shelf!(certificate.cert),
    brief: "The certificate and what leads from it to a root, as one PEM file",
    story: "auto takes tls.cert among systemd's credentials (LoadCredential=). More certificates, \
        one for each name that clients ask for, are [[tls.certificates]] of the file, with cert, key \
        and ocsp. All are looked at once a minute and at SIGHUP; new ones are used for handshakes \
        from then on, and nobody who is connected notices.",
    example: "/etc/throng/cert.pem",
    also: &[
        "certificate",
        "cert",
        "ssl-cert",
        "cert-file",
        "tls-certificate",
        "fullchain",
    ],
};

pub(super) const KEY: Knob = Knob {
    name: "tls-key",
    group: Group::Tls,
    kind: shelf!(certificate.key),
    brief: "The private key of that certificate, as a PEM file",
    story: "RSA, ECDSA (P-256, P-384, P-521) or Ed25519, without a passphrase; a handshake with ECDSA \
        costs a fifth of one with RSA. auto takes tls.key among systemd's credentials, or looks into \
        the certificate's own file. Let nobody but the server read it.",
    example: "/etc/throng/key.pem",
    also: &["private-key", "key", "ssl-key", "key-file"],
};

pub(super) const OCSP: Knob = Knob {
    name: "tls-ocsp",
    group: Group::Tls,
    kind: shelf!(certificate.ocsp),
    brief: "A response of the authority (OCSP, DER) that clients get with the certificate",
    story: "It tells them that the certificate has not been revoked, so that they need not ask. Somebody \
        has to fetch it now and then; it is sent along as it is. auto takes tls.ocsp among systemd's \
        credentials, or none.",
    example: "/etc/throng/ocsp.der",
    also: &["ocsp", "stapling", "ssl-stapling", "ocsp-file"],
};

pub(super) const MODE: Knob = Knob {
    name: "tls-mode",
    group: Group::Tls,
    kind: Kind::Choice(choice!(tls.mode:
        "compact" => TlsMode::Compact,
        "rustls" => TlsMode::Rustls,
        "ktls" => TlsMode::Ktls)),
    brief: "Who keeps a connection after its handshake: we, in 128 bytes; rustls; or the kernel",
    story: "rustls shakes hands in every mode. compact then keeps only keys and counters and does the \
        records itself. rustls keeps its own 3.4 KB and more, for those who prefer its record layer. \
        ktls gives the keys to the kernel, if it has that (CONFIG_TLS), and is compact where it has \
        not. TLS 1.2 is kept by rustls always.",
    example: "rustls",
    also: &["ktls", "kernel-tls"],
};

pub(super) const MIN_VERSION: Knob = Knob {
    name: "tls-min-version",
    group: Group::Tls,
    kind: Kind::Choice(choice!(tls.min_version:
        "1.2" => TlsVersion::V1_2,
        "1.3" => TlsVersion::V1_3)),
    brief: "The oldest version of TLS that is spoken; older peers get the alert protocol_version",
    story: "Whatever is not ten years old speaks 1.3. A peer that only knows 1.2 costs 3.4 KB and more \
        instead of 128 bytes; /stats counts them (tls_12).",
    example: "1.2",
    also: &["tls-version", "ssl-protocols", "min-tls", "tls-min"],
};

pub(super) const POST_QUANTUM: Knob = Knob {
    name: "tls-post-quantum",
    group: Group::Tls,
    kind: toggle!(post_quantum),
    brief: "Offer X25519MLKEM768, which the quantum computers of tomorrow do not break",
    story: "Browsers have it. A handshake with it costs a third more of the processor and 2.3 KB more on \
        the wire; an established connection costs nothing more.",
    example: "off",
    also: &["pq", "mlkem", "kyber", "groups", "curves"],
};

pub(super) const CLIENT_CERTS: Knob = Knob {
    name: "tls-client-certs",
    group: Group::Tls,
    kind: Kind::Choice(choice!(tls.client_certs:
        "off" => ClientCerts::Off,
        "optional" => ClientCerts::Optional,
        "required" => ClientCerts::Required)),
    brief: "Whether clients show a certificate of their own (mTLS)",
    story: "The application is told what it says: its subject, and the names in it. With optional, a \
        client without one is let in and known as nobody; one that is no good is refused either way.",
    example: "required",
    also: &["mtls", "client-auth", "verify-client", "client-certificate"],
};

pub(super) const CLIENT_CA: Knob = Knob {
    name: "tls-client-ca",
    group: Group::Tls,
    kind: shelf!(client_ca),
    brief: "Who may have signed the certificates of clients: a PEM file of authorities",
    story: "auto takes tls.ca among systemd's credentials. Name your own authority here and not a public \
        one, which signs for anybody.",
    example: "/etc/throng/clients.pem",
    also: &["ca", "ca-file", "client-ca-file", "trusted-ca"],
};

pub(super) const TICKETS: Knob = Knob {
    name: "tls-tickets",
    group: Group::Tls,
    kind: toggle!(tickets),
    brief: "Let clients resume a session, which spares them and us the certificate",
    story: "What would have to be remembered is kept by the client, sealed (RFC 8446, 4.6.1); the server \
        keeps nothing. The key changes every six hours. A resumed session still exchanges fresh keys, \
        and nothing is accepted before it has (no 0-RTT).",
    example: "off",
    also: &["session-tickets", "resumption", "ssl-session-tickets"],
};

pub(super) const TICKET_KEYS: Knob = Knob {
    name: "tls-ticket-keys",
    group: Group::Tls,
    kind: shelf!(ticket_keys),
    brief: "A file of secrets by which several servers understand each other's tickets",
    story: "A line is a secret of 32 characters or more, as openssl rand -base64 48 writes it; the first \
        one seals, all open. To change it, put a new one second everywhere, then first, then take out \
        the old one. auto takes tls.tickets among systemd's credentials, or a secret of this process.",
    example: "/etc/throng/tickets",
    also: &["ticket-key", "session-ticket-key", "ssl-session-ticket-key"],
};
