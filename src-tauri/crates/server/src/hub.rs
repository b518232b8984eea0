//! The task that owns the [`Registry`], and the commands by which connections reach it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ahoy_protocol::AhoyId;
use ahoy_protocol::rendezvous::ServerMessage;
use tokio::sync::{mpsc, oneshot};

use crate::outbox::Outbox;
use crate::registry::{ConnectionNumber, Outgoing, Registry};

/// Commands that may wait for the hub; full: connections wait, and so do the apps behind them.
const COMMANDS: usize = 1024;

/// What a connection asks of the hub. Answers come by the connection's outbox.
#[derive(Debug)]
pub(crate) enum Command {
    SignIn { who: Who, outbox: Outbox, welcome: ServerMessage },
    Watch { who: Who, contacts: HashSet<AhoyId> },
    Send { who: Who, reference: u64, outgoing: Outgoing },
    Received { who: Who, number: u64 },
    SignOut { who: Who },
    Figures { answer: oneshot::Sender<Figures> },
}

/// A signed-in person on one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    pub(crate) id: AhoyId,
    pub(crate) connection: ConnectionNumber,
}

/// For `/healthz`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) signed_in: usize,
    pub(crate) letters: usize,
    pub(crate) letter_bytes: usize,
}

/// connection tasks -> hub task.
#[derive(Debug, Clone)]
pub(crate) struct HubHandle {
    commands: mpsc::Sender<Command>,
}

impl HubHandle {
    /// Posts a command. False when the hub has ended, which it does only after all connections.
    pub(crate) async fn post(&self, command: Command) -> bool {
        self.commands.send(command).await.is_ok()
    }

    /// Today's figures, `None` when the hub does not answer within a second.
    pub(crate) async fn figures(&self) -> Option<Figures> {
        let (answer, figures) = oneshot::channel();
        let ask = async {
            self.post(Command::Figures { answer }).await;
            figures.await.ok()
        };
        tokio::time::timeout(Duration::from_secs(1), ask).await.ok().flatten()
    }
}

/// A handle and the task behind it, which ends when the last handle is dropped.
pub(crate) fn hub(mut registry: Registry, sweep: Duration) -> (HubHandle, impl Future<Output = ()>) {
    let (commands, mut inbox) = mpsc::channel(COMMANDS);
    let task = async move {
        let mut sweep = tokio::time::interval(sweep);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => carry_out(&mut registry, command, Instant::now()),
                    None => return,
                },
                _ = sweep.tick() => {
                    let forgotten = registry.sweep(Instant::now());
                    if forgotten > 0 {
                        tracing::info!(forgotten, "letters too old");
                    }
                }
            }
        }
    };
    (HubHandle { commands }, task)
}

fn carry_out(registry: &mut Registry, command: Command, now: Instant) {
    match command {
        Command::SignIn { who, outbox, welcome } => registry.sign_in(who.id, who.connection, outbox, welcome, now),
        Command::Watch { who, contacts } => registry.watch(who.id, who.connection, contacts),
        Command::Send { who, reference, outgoing } => {
            if let Some(outcome) = registry.send(who.id, who.connection, outgoing, now) {
                registry.answer(who.id, who.connection, ServerMessage::Sent { reference, outcome });
            }
        }
        Command::Received { who, number } => registry.received(who.id, who.connection, number, now),
        Command::SignOut { who } => registry.sign_out(who.id, who.connection),
        Command::Figures { answer } => {
            let (signed_in, letters, letter_bytes) = registry.figures();
            // A health check that has gone away needs no answer.
            let _ = answer.send(Figures { signed_in, letters, letter_bytes });
        }
    }
}
