//! A whole Ahoy endpoint without a window, for scripts, monitoring and measurements.

mod args;
mod orders;
mod out;
mod recorder;
mod run;

use std::process::ExitCode;

use clap::Parser;

#[expect(clippy::print_stderr, reason = "a person runs this program")]
fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("AHOY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // The engine has its own threads; one more is enough to listen to it.
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run::run(cli)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
