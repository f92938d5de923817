//! TLS of the gRPC server (rustls with ring; TLS 1.2 and 1.3), by two files: a certificate chain and its key, both PEM.
//!
//! The files are read again when they have changed, at most once a minute, so that a renewed certificate needs no
//! restart. Files that cannot be used leave the certificate in place that was there before, and say so in the log. A
//! key never appears in a message.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use tokio_rustls::rustls::sign::CertifiedKey;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those between it and the authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of what it should.
    #[error("{name} {}: {detail}; give a PEM file with {expected}", path.display())]
    File {
        /// The setting.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The two do not belong together, or the key is of a kind that nobody speaks.
    #[error("tls_cert {} and tls_key {} cannot be used together: {detail}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl TlsFiles {
    /// What accepts connections with these files, as they are now and as they will be.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let current = Current { pair: Arc::new(self.read()?), changed: self.changed(), looked: Instant::now() };
        let resolver = Arc::new(Resolver { files: self.clone(), current: Mutex::new(current) });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.pair(&error))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn read(&self) -> Result<CertifiedKey, TlsError> {
        let file = |name, path: &Path, expected, detail: String| TlsError::File {
            name,
            path: path.to_owned(),
            detail,
            expected,
        };
        let cert = |detail| file("tls_cert", &self.cert, "the server's certificate, then those that signed it", detail);
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| cert(error.to_string()))?;
        if chain.is_empty() {
            return Err(cert("no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| file("tls_key", &self.key, "the certificate's private key", error.to_string()))?;
        let key = any_supported_type(&key).map_err(|error| self.pair(&error))?;
        let pair = CertifiedKey::new(chain, key);
        pair.keys_match().map_err(|error| self.pair(&error))?;
        Ok(pair)
    }

    fn pair(&self, error: &tokio_rustls::rustls::Error) -> TlsError {
        TlsError::Pair { cert: self.cert.clone(), key: self.key.clone(), detail: error.to_string() }
    }

    /// When the files were written; none where the system does not say.
    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.cert, &self.key].map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
    }
}

/// The certificate that is shown, and when its files were last looked at.
#[derive(Debug)]
struct Current {
    pair: Arc<CertifiedKey>,
    changed: [Option<SystemTime>; 2],
    looked: Instant,
}

#[derive(Debug)]
struct Resolver {
    files: TlsFiles,
    current: Mutex<Current>,
}

impl Resolver {
    /// The certificate of this moment.
    fn pair(&self, now: Instant) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(current.looked) >= LOOK_EVERY {
            current.looked = now;
            let changed = self.files.changed();
            if changed != current.changed {
                current.changed = changed;
                match self.files.read() {
                    Ok(pair) => {
                        tracing::info!(cert = %self.files.cert.display(), "tls: certificate read again");
                        current.pair = Arc::new(pair);
                    }
                    Err(error) => tracing::error!(%error, "tls: the certificate stays the one that was there before"),
                }
            }
        }
        Arc::clone(&current.pair)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    fn files(folder: &Path) -> TlsFiles {
        TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    fn write(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        write(&files);
        let start = Instant::now();
        let current = Current { pair: Arc::new(files.read().unwrap()), changed: [None; 2], looked: start };
        let resolver = Resolver { files: files.clone(), current: Mutex::new(current) };
        let first = resolver.pair(start);
        write(&files);
        assert!(Arc::ptr_eq(&first, &resolver.pair(start + LOOK_EVERY / 2)), "not looked at so soon");
        let second = resolver.pair(start + LOOK_EVERY);
        assert_ne!(first.cert, second.cert);
        std::fs::remove_file(&files.key).unwrap();
        assert!(Arc::ptr_eq(&second, &resolver.pair(start + LOOK_EVERY * 2)), "the one before stays");
    }

    #[test]
    fn unusable_files_are_named_with_their_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let good = files(folder.path());
        write(&good);
        let other = TlsFiles { cert: folder.path().join("other.pem"), key: folder.path().join("other.key") };
        write(&other);
        let missing = TlsFiles { cert: folder.path().join("none.pem"), ..good.clone() };
        let swapped = TlsFiles { cert: good.key.clone(), key: good.cert.clone() };
        let unpaired = TlsFiles { key: other.key.clone(), ..good.clone() };
        for (files, expected) in [(missing, "none.pem"), (swapped, "key.pem"), (unpaired, "cannot be used together")] {
            let error = files.read().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(good.acceptor().is_ok());
    }
}
