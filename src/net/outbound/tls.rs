//! TLS towards other hosts: whom to trust, and what to speak.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::OutboundSetupError;

/// The client's side of TLS: the system's certificate authorities and those in `ca_file`; HTTP/2 and HTTP/1.1.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, OutboundSetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (_, ignored) = roots.add_parsable_certificates(native.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "some of the system's certificate authorities can't be read");
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        tracing::warn!(
            "no certificate authorities are known: no other server can be reached; install ca-certificates, \
             or set outbound.ca_file"
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| OutboundSetupError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), OutboundSetupError> {
    let refuse = |why: String| OutboundSetupError::CaFile { path: path.display().to_string(), why };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
    let mut added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
        added += 1;
    }
    if added == 0 {
        return Err(refuse("there are none in it".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(client_config(Some(&path)).is_err(), "there is no file");
        std::fs::write(&path, "nothing").unwrap();
        assert!(client_config(Some(&path)).unwrap_err().to_string().contains("ca.pem"));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a.test".into()]).unwrap().self_signed(&key);
        std::fs::write(&path, certificate.unwrap().pem()).unwrap();
        assert!(client_config(Some(&path)).is_ok());
    }
}
