//! The rendezvous: presence, relay of sealed envelopes, mailbox, TURN credentials.
//!
//! `README.md` beside this crate tells an operator how to run it; `PROTOCOL.md` of `ahoy-protocol` says what goes over the wire.
//!
//! ```no_run
//! # async fn example() -> Result<(), ahoy_server::StartError> {
//! let server = ahoy_server::Server::start(ahoy_server::ServerConfig::loopback()).await?;
//! println!("dial {}", server.url());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Who owns what:
//!
//! ```text
//! accept loop ──► one task per connection ──Command──► hub task (sole owner of sessions, watch lists, mailbox)
//!                        ▲                                 │
//!                        └──────── outbox (bounded) ◄──────┘
//! ```
//! A hub whose state lies elsewhere has to answer the same `Command`s and fill the same outboxes; nothing else
//! of the server knows how presence and mail are kept.

mod accept;
mod admission;
mod check;
mod config;
mod connection;
mod hosts;
mod http;
mod hub;
mod mailbox;
mod mask;
mod outbox;
mod rate;
mod refusals;
mod registry;
mod server;
mod tls;
mod turn;

pub use config::{
    ConnectionLimits, DEFAULT_PORT, MailboxLimits, Rate, ServerConfig, Timing, TlsFiles, TurnConfig, TurnSecret,
};
pub use server::{RunningServer, Server, StartError};
