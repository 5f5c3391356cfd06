//! TLS to a broker: what its certificate is checked against, and the certificate that is shown to it.

use std::path::Path;
use std::sync::Arc;

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The authorities that Debian trusts (package `ca-certificates`).
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a TLS client checks and shows.
#[derive(Clone, Debug)]
pub struct Config(Arc<ClientConfig>);

impl Config {
    /// Has `options` speak TLS.
    pub(super) fn apply(&self, options: &mut MqttOptions) {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&self.0))));
    }
}

/// Reads the files of a TLS client: `ca` holds the authorities that may have signed the broker's certificate (without it those that the system trusts),
/// `client` this board's certificate and its key. All of them are PEM.
///
/// # Errors
/// A sentence that names the file that is not there or does not hold what it should.
pub fn config(ca: Option<&Path>, client: Option<(&Path, &Path)>) -> Result<Config, String> {
    let roots_file = ca.unwrap_or(Path::new(SYSTEM));
    let mut roots = RootCertStore::empty();
    let (mut kept, mut refused) = (0, None);
    for certificate in certificates(roots_file)? {
        match roots.add(certificate) {
            Ok(()) => kept += 1,
            Err(error) => refused = Some(error),
        }
    }
    if kept == 0 {
        let why = refused.map_or("it holds no certificate".to_owned(), |error| error.to_string());
        return Err(format!("{}: {why}", roots_file.display()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = versions.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            if chain.is_empty() {
                return Err(format!("{}: it holds no certificate", certificate.display()));
            }
            let secret =
                PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {}", key.display(), words(&error, "private key")))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| format!("{} and {} do not belong together: {error}", certificate.display(), key.display()))?
        }
    };
    Ok(Config(Arc::new(config)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| format!("{}: {}", file.display(), words(&error, "certificate")))
}

fn words(error: &rustls::pki_types::pem::Error, wanted: &str) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(reason) => reason.to_string(),
        Error::NoItemsFound => format!("it holds no {wanted} in PEM form"),
        other => format!("no {wanted} can be read from it: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate and its key.
    const CA: &str = include_str!("../../../tests/certificates/board.pem");
    const KEY: &str = include_str!("../../../tests/certificates/board.key");

    #[test]
    fn files_that_hold_something_else_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (ca, empty) = (file("ca.pem", CA), file("empty.pem", ""));
        assert!(config(Some(&ca), None).is_ok());
        let key = file("key.pem", KEY);
        assert!(config(Some(&ca), Some((&ca, &key))).is_ok());
        for (roots, client, words) in [
            (folder.path().join("nothing.pem"), None, "nothing.pem: No such file"),
            (empty.clone(), None, "empty.pem: it holds no certificate"),
            (ca.clone(), Some((ca.clone(), empty.clone())), "empty.pem: it holds no private key"),
            (ca.clone(), Some((empty.clone(), ca.clone())), "empty.pem: it holds no certificate"),
        ] {
            let client = client.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
            let refusal = config(Some(&roots), client).unwrap_err();
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}
