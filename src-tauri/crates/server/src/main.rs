//! `ahoy-server`: the rendezvous as a program. `README.md` beside this crate is its manual.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ahoy_server::{DEFAULT_PORT, Server, ServerConfig, StartError, TlsFiles, TurnConfig, TurnSecret};
use clap::Parser;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// The rendezvous of Ahoy: presence, relay of sealed envelopes, mailbox, TURN credentials.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, env = "AHOY_LISTEN", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)))]
    listen: SocketAddr,
    /// What apps dial when it is not the address listened on: ws://HOST[:PORT] or wss://HOST[:PORT].
    #[arg(long, env = "AHOY_PUBLIC_URL")]
    public_url: Option<String>,
    /// A further HOST or HOST:PORT under which apps may dial. May be repeated.
    #[arg(long = "host", value_name = "HOST", env = "AHOY_HOST", value_delimiter = ',')]
    hosts: Vec<String>,
    /// Believe the last entry of X-Forwarded-For. Only behind a reverse proxy that sets it.
    #[arg(long, env = "AHOY_TRUST_FORWARDED_FOR")]
    trust_forwarded_for: bool,
    /// PEM file with the certificate chain; then the server speaks TLS itself.
    #[arg(long, value_name = "FILE", env = "AHOY_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", env = "AHOY_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A STUN server for apps, stun:HOST[:PORT]. May be repeated.
    #[arg(long = "stun-url", value_name = "URL", env = "AHOY_STUN_URL", value_delimiter = ',')]
    stun_urls: Vec<String>,
    /// A TURN server for apps, turn:HOST[:PORT][?transport=udp|tcp]. May be repeated.
    #[arg(long = "turn-url", value_name = "URL", env = "AHOY_TURN_URL", value_delimiter = ',')]
    turn_urls: Vec<String>,
    /// The secret shared with the TURN server. Other users of this machine can read arguments: better in the environment or a file.
    #[arg(long, value_name = "SECRET", env = "AHOY_TURN_SECRET", hide_env_values = true)]
    turn_secret: Option<String>,
    /// File that holds the secret shared with the TURN server.
    #[arg(long, value_name = "FILE", env = "AHOY_TURN_SECRET_FILE", conflicts_with = "turn_secret")]
    turn_secret_file: Option<PathBuf>,
    /// How long TURN credentials are good for, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 12 * 3600)]
    turn_lifetime: u64,
    /// How long letters wait for people who are offline, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    mailbox_days: u32,
    /// How much memory waiting letters may take in all, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    mailbox_mib: usize,
    /// Connections at a time.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    max_connections: usize,
    /// Connections at a time from one address (an IPv4 address or an IPv6 /64).
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_connections_per_address: usize,
}

/// Why the program ends without having served.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("Cannot read the TURN secret from {}: {reason}. Check --turn-secret-file.", path.display())]
    SecretFile { path: PathBuf, reason: std::io::Error },
    #[error("There is a TURN server but no secret to make credentials with. Give --turn-secret-file.")]
    NoSecret,
    #[error("Cannot listen for the signals that end the program: {0}.")]
    Signals(std::io::Error),
}

impl Args {
    fn config(self) -> Result<ServerConfig, Failure> {
        let secret = match self.turn_secret_file {
            Some(path) => Some(fs::read_to_string(&path).map_err(|reason| Failure::SecretFile { path, reason })?),
            None => self.turn_secret,
        };
        let turn = match secret {
            Some(secret) => Some(TurnConfig {
                lifetime: Duration::from_secs(self.turn_lifetime),
                ..TurnConfig::new(self.turn_urls, TurnSecret::new(&secret))
            }),
            None if self.turn_urls.is_empty() => None,
            None => return Err(Failure::NoSecret),
        };
        let mut config = ServerConfig {
            listen: self.listen,
            public_url: self.public_url,
            hosts: self.hosts,
            trust_forwarded_for: self.trust_forwarded_for,
            tls: self.tls_cert.zip(self.tls_key).map(|(certificate, key)| TlsFiles { certificate, key }),
            stun_urls: self.stun_urls,
            turn,
            ..ServerConfig::default()
        };
        config.mailbox.age = Duration::from_secs(u64::from(self.mailbox_days) * 24 * 3600);
        config.mailbox.total_bytes = self.mailbox_mib.saturating_mul(1024 * 1024);
        config.limits.connections = self.max_connections;
        config.limits.connections_per_address = self.max_connections_per_address;
        Ok(config)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("AHOY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ahoy-server: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let config = args.config()?;
    let mut end = end_signal().map_err(Failure::Signals)?;
    let server = Server::start(config).await?;
    announce(server.url());
    end.recv().await;
    tracing::info!("asked to stop");
    server.shutdown().await;
    Ok(())
}

/// The one line on standard output, for whoever started the program.
#[expect(clippy::print_stdout, reason = "this line is the program's interface")]
fn announce(url: &str) {
    println!("{}", serde_json::json!({ "url": url }));
}

/// Gives one message when the program is asked to end.
fn end_signal() -> std::io::Result<tokio::sync::mpsc::Receiver<()>> {
    let (tell, told) = tokio::sync::mpsc::channel(1);
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        // The receiver waits until the program ends.
        let _ = tell.send(()).await;
    });
    Ok(told)
}
