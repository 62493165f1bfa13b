//! A certificate for development: an authority of one's own, and one certificate of it.
//!
//! The authority signs once and its key is never written down. So trusting it, in a browser or a
//! system store, trusts this one certificate: whoever finds the files can make no other.

use core::net::IpAddr;
use core::time::Duration;
use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// What is to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevRequest {
    /// Host names (also `*.example.test`) and addresses.
    pub names: Vec<String>,
    /// For how long.
    pub days: u32,
}

impl Default for DevRequest {
    fn default() -> Self {
        Self {
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
            days: 365,
        }
    }
}

/// Three files, all PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct DevCertificate {
    /// The authority, for those who shall trust it.
    pub authority: String,
    /// The certificate.
    pub certificate: String,
    /// Its key, for nobody else.
    pub key: String,
}

impl fmt::Debug for DevCertificate {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.certificate)
    }
}

/// A name that no certificate can be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName(pub String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither a host name nor an address", self.0)
    }
}

impl std::error::Error for BadName {}

impl DevCertificate {
    /// Makes it, beginning an hour before `now_s` (seconds since 1970): clocks differ.
    pub fn new(request: &DevRequest, now_s: u64) -> Result<Self, BadName> {
        if let Some(name) = request.names.iter().find(|name| !is_name(name)) {
            return Err(BadName(name.clone()));
        }
        let from = date_time_ymd(1970, 1, 1) + Duration::from_secs(now_s.saturating_sub(3600));
        let until = from + Duration::from_secs(u64::from(request.days) * 24 * 3600 + 3600);
        let params = |names: &[String], title: &str| {
            let params = CertificateParams::new(names);
            let mut params = params.map_err(|_| BadName(names.join(" ")))?;
            (params.not_before, params.not_after) = (from, until);
            params.distinguished_name.push(DnType::CommonName, title);
            Ok(params)
        };
        // A name of its own: two authorities of one name and two keys confuse every store.
        let authority_key = fresh_key();
        let mark = &authority_key.public_key_raw()[1..5];
        let mark = u32::from_be_bytes(mark.try_into().expect("a point is longer"));
        let title = format!("Throng development authority {mark:08x}");
        let mut authority = params(&[], &title)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(authority, authority_key).expect(SIGNS);

        let title = request.names.first().map_or("throng", String::as_str);
        let mut certificate = params(&request.names, title)?;
        certificate.use_authority_key_identifier_extension = true;
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        certificate.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = fresh_key();
        let signed = certificate.signed_by(&key, &authority).expect(SIGNS);
        Ok(Self {
            authority: authority.pem(),
            certificate: signed.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// P-256: every client takes it, and a handshake costs a fifth of what RSA does.
fn fresh_key() -> KeyPair {
    KeyPair::generate().expect("the kernel has random numbers once it has started")
}

const SIGNS: &str = "a fresh P-256 key signs what is well-formed";

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_part)
    };
    let host = name.strip_prefix("*.").unwrap_or(name);
    let is_host = host.len() <= 253 && host.split('.').all(is_label);
    name.parse::<IpAddr>().is_ok() || is_host
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::certificates::{Facts, Standing, certificates, private_key};

    const NOW_S: u64 = 1_790_000_000;

    #[test]
    fn the_files_say_what_was_asked_for() {
        let request = DevRequest {
            names: ["a.test", "*.b.test", "10.0.0.1", "::1"]
                .map(str::to_owned)
                .into(),
            days: 30,
        };
        let made = DevCertificate::new(&request, NOW_S).unwrap();
        let chain = certificates(made.certificate.as_bytes()).unwrap();
        let facts = Facts::of(&chain[0]).unwrap();
        assert_eq!(facts.names, request.names);
        assert_eq!(facts.subject, "CN=a.test");
        assert_eq!(facts.standing(NOW_S), Standing::Valid(30 * 24 * 3600));
        assert!(private_key(made.key.as_bytes()).is_ok());
        assert_eq!(certificates(made.authority.as_bytes()).unwrap().len(), 1);
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            "a b",
            "a..b",
            "https://a.test",
            "a.test:443",
            "*.",
            "a*.test",
        ] {
            let request = DevRequest {
                names: vec!["localhost".to_owned(), name.to_owned()],
                ..DevRequest::default()
            };
            let refused = DevCertificate::new(&request, NOW_S);
            assert_eq!(refused, Err(BadName(name.to_owned())));
        }
    }
}
