//! Takes TCP connections in, wraps them in TLS when configured, and reads their one HTTP request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::http::{Ends, router};
use crate::server::Shared;

/// Connections that are not admitted yet: in their TLS handshake, in HTTP, or being refused. Full: newcomers are dropped.
const PENDING: usize = 1024;
/// Rest after a failed accept, which is mostly a lack of file descriptors.
const REST: Duration = Duration::from_millis(100);

pub(crate) struct Accept {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    router: Router,
    pending: Arc<Semaphore>,
}

impl Accept {
    pub(crate) fn new(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) -> Self {
        let router = router(Arc::clone(&shared));
        Self { listener, tls, shared, router, pending: Arc::new(Semaphore::new(PENDING)) }
    }

    /// Runs until shutdown.
    pub(crate) async fn run(self) {
        let mut sweep = tokio::time::interval(self.shared.config.timing.sweep);
        loop {
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return,
                _ = sweep.tick() => self.shared.admission.sweep(Instant::now()),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.begin(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept");
                        tokio::time::sleep(REST).await;
                    }
                },
            }
        }
    }

    fn begin(&self, stream: TcpStream, peer: std::net::SocketAddr) {
        let Ok(pending) = Arc::clone(&self.pending).try_acquire_owned() else { return };
        let Ok(local) = stream.local_addr() else { return };
        // Signals are small and urgent. Failing to say so costs delay, nothing else.
        let _ = stream.set_nodelay(true);
        let ends = Ends { peer, local, pending: Arc::new(pending) };
        let (router, tls, shared) = (self.router.clone(), self.tls.clone(), Arc::clone(&self.shared));
        self.shared.tasks.spawn(async move {
            let serve = async {
                match tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => answer(stream, ends, router).await,
                        Err(error) => tracing::debug!(%error, "no TLS"),
                    },
                    None => answer(stream, ends, router).await,
                }
            };
            tokio::select! {
                _ = timeout(shared.config.timing.sign_in, serve) => {}
                () = shared.shutdown.cancelled() => {}
            }
        });
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, ends: Ends, router: Router) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ends.clone());
        let router = router.clone();
        async move {
            let mut response = router.oneshot(request).await?;
            // One request a connection. (hyper's own switch for that spoils the header of an upgrade as well.)
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "no HTTP");
    }
}
