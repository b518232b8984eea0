//! `cargo xtask`: setup, demo, test, bench, checks and packages. The README's two commands live here.
#![allow(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod icons;
mod package;
mod run;
mod setup;
mod test;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Setup, demo, test, bench and checks of Ahoy", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build Ahoy and start a local rendezvous and two windows, Ada and Ben, ready to call each other
    Demo(demo::Options),
    /// Set up and run every test
    Test(test::Options),

    /// Measure calls at release settings and print a table
    Bench(bench::Options),
    /// Make installers, check them, and measure their size and the time from start to window
    Package(package::Options),
    /// Write latest.json, which tells running copies of a release
    Manifest(package::ManifestOptions),
    /// Make every picture of the program's symbol from its drawings
    Icons(setup::Options),
    /// Install what building and testing needs, and nothing else
    Setup(setup::Options),
    /// Write the TypeScript types that the interface shares with the engine
    Gen,
}

fn main() -> anyhow::Result<()> {
    std::env::set_current_dir(run::root())?;
    match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),

        Task::Bench(options) => bench::run(&options),
        Task::Package(options) => package::run(&options),
        Task::Manifest(options) => package::write_manifest(&options),
        Task::Icons(options) => {
            setup::ensure(setup::Purpose::Demo, options.yes)?;
            icons::run()
        }
        Task::Setup(options) => setup::ensure(setup::Purpose::Test, options.yes),
        Task::Gen => test::generate_types(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        super::Arguments::command().debug_assert();
    }
}
