//! The server's side of TLS: its certificate, read again when it was renewed.
//!
//! Certificates are renewed every few weeks by programs that know nothing of this one. So the files are looked at
//! once a minute and on SIGHUP; what can't be used is told and changes nothing.

use std::{
    fmt, fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::limits::CERTIFICATE_CHECK_INTERVAL;
use crate::{config::Tls, net::Shutdown};

/// Why TLS can't be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// `tls.listen` is set and one of the files is not.
    #[error("`tls.listen` is set: set `tls.certificate_file` and `tls.key_file` too")]
    NoFiles,
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The files are not what they should be.
    #[error("cannot use the certificate in {certificate} with the key in {key}: {why}")]
    Unusable {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// Why.
        why: String,
    },
}

/// The server's certificate. Cheap to clone; clones share what is current.
#[derive(Debug, Clone)]
pub struct Certificates {
    files: Arc<Files>,
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The contents of both files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate that new connections get, and the bytes it was made of.
struct Current(RwLock<(Arc<CertifiedKey>, Contents)>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

impl Certificates {
    /// Reads the files that the configuration names; `None` where TLS is not served.
    pub fn load(config: &Tls) -> Result<Option<Self>, TlsError> {
        if config.listen.is_empty() {
            return Ok(None);
        }
        let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) else {
            return Err(TlsError::NoFiles);
        };
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let provider = Arc::new(default_provider());
        let contents = files.read()?;
        let certified = files.certified(&contents, &provider)?;
        let current = Arc::new(Current(RwLock::new((Arc::new(certified), contents))));
        Ok(Some(Self { files: Arc::new(files), current, provider }))
    }

    /// How TLS connections are taken: with the current certificate, for HTTP/2 and HTTP/1.1.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.files.unusable(&error))?
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Reads the files again if they have changed; whether they had.
    fn renew(&self) -> Result<bool, TlsError> {
        let contents = self.files.read()?;
        if self.current.0.read().unwrap_or_else(PoisonError::into_inner).1 == contents {
            return Ok(false);
        }
        let certified = Arc::new(self.files.certified(&contents, &self.provider)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = (certified, contents);
        Ok(true)
    }

    /// Keeps the certificate current until the server stops.
    pub async fn keep_current(self, shutdown: Shutdown) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            return tracing::warn!("the system lets nobody wait for SIGHUP: certificates are not renewed");
        };
        loop {
            tokio::select! {
                () = sleep(CERTIFICATE_CHECK_INTERVAL) => {}
                _ = hangup.recv() => {}
                () = shutdown.triggered() => return,
            }
            let certificates = self.clone();
            match tokio::task::spawn_blocking(move || certificates.renew()).await {
                Ok(Ok(true)) => tracing::info!("the TLS certificate was renewed"),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the old TLS certificate stays"),
            }
        }
    }
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| TlsError::Unreadable { path: path.display().to_string(), source })
        };
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    fn certified(&self, contents: &Contents, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| self.unusable(&error))?;
        if chain.is_empty() {
            return Err(self.unusable(&"there is no certificate in the file"));
        }
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| self.unusable(&error))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, why: &dyn fmt::Display) -> TlsError {
        TlsError::Unusable {
            certificate: self.certificate.display().to_string(),
            key: self.key.display().to_string(),
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &std::path::Path, name: &str) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key);
        fs::write(folder.join("certificate.pem"), certificate.unwrap().pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    }

    fn config(folder: &std::path::Path) -> Tls {
        Tls {
            listen: vec![([127, 0, 0, 1], 0).into()],
            certificate_file: Some(folder.join("certificate.pem")),
            key_file: Some(folder.join("key.pem")),
        }
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.test");
        let certificates = Certificates::load(&config(folder.path())).unwrap().unwrap();
        let served = || certificates.current.0.read().unwrap().0.cert.clone();
        let first = served();
        assert!(!certificates.renew().unwrap());
        write(folder.path(), "b.test");
        assert!(certificates.renew().unwrap());
        let second = served();
        assert_ne!(first, second);

        // The key of another certificate, as while the two files are being replaced.
        let half = fs::read(folder.path().join("key.pem")).unwrap();
        write(folder.path(), "c.test");
        let whole = fs::read(folder.path().join("key.pem")).unwrap();
        fs::write(folder.path().join("key.pem"), half).unwrap();
        assert!(matches!(certificates.renew(), Err(TlsError::Unusable { .. })));
        assert_eq!(served(), second);
        fs::write(folder.path().join("key.pem"), whole).unwrap();
        assert!(certificates.renew().unwrap());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Certificates::load(&Tls::default()).unwrap().is_none());
        let incomplete = Tls { key_file: None, ..config(folder.path()) };
        assert!(matches!(Certificates::load(&incomplete), Err(TlsError::NoFiles)));
        let error = Certificates::load(&config(folder.path())).unwrap_err().to_string();
        assert!(error.contains("certificate.pem"), "{error}");
        write(folder.path(), "a.test");
        fs::write(folder.path().join("certificate.pem"), "").unwrap();
        assert!(matches!(Certificates::load(&config(folder.path())), Err(TlsError::Unusable { .. })));
    }
}
