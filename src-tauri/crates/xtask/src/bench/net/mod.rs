//! `cargo xtask bench net`: calls over emulated links, ours beside headless Chromium's, in one run.
//!
//! Two endpoints in network namespaces of their own; between them an emulated link whose clock starts with the first
//! media packet. The link keeps a record, so rates and queues of both programs are measured at the same place.

use std::collections::BTreeMap;

use super::namespaces;

mod beside;
mod browser;
mod charts;
mod film;
mod in_process;
mod likeness;
mod material;
mod measures;
mod ours;
mod profiles;
mod report;
mod seen;
mod speech;
mod svg;

use self::material::Material;
use self::measures::{Figures, Measure};
use self::profiles::{ALL, Profile};
use self::seen::Run;

/// Options of the part.
#[derive(Debug, clap::Args)]
// Named, because the bench has `Options` of its own and clap takes names of groups from types.
#[group(id = "net")]
pub struct Options {
    /// For `net`: which links, separated by commas; all when none is named
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    profiles: Vec<String>,
    /// For `net`: only our side
    #[arg(long)]
    no_chromium: bool,
    /// For `net`: the emulated links in one process only, as it is without root
    #[arg(long)]
    in_process: bool,
    /// For `net`: measure each link so many times and take the median
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
}

/// Whose call it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// `ahoy-cli`.
    Ours,
    /// Two headless Chromium.
    Chromium,
}

impl Program {
    /// For tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Chromium => "chromium",
        }
    }
}

/// What came of one profile: the runs of each program with their figures.
pub struct Outcome {
    /// The link.
    pub profile: &'static Profile,
    /// Seconds measured.
    pub seconds: u64,
    /// By program, one for each repeat.
    pub runs: BTreeMap<Program, Vec<(Run, Figures)>>,
    /// What should have been measured here and cannot be, with the reason.
    pub left_out: BTreeMap<Measure, String>,
}

/// Measures; `seconds` instead of each profile's own length.
///
/// # Errors
/// When a profile is not known, or the results cannot be written. A call that fails is told of and left out.
pub fn measure(options: &Options, seconds: Option<u64>) -> anyhow::Result<()> {
    let profiles = chosen(&options.profiles)?;
    if options.in_process || !namespaces::possible() {
        return without_networks(&profiles, seconds);
    }
    let programs = programs(options);
    let material = Material::new()?;
    let mut outcomes = Vec::new();
    for profile in profiles {
        let seconds = seconds.unwrap_or(profile.seconds);
        let left_out = material.left_out(profile).into_iter().collect();
        let mut outcome = Outcome { profile, seconds, runs: BTreeMap::new(), left_out };
        for repeat in 0..options.repeat {
            let links = profile.links(repeat);
            for program in programs.iter().copied() {
                println!("{} ({}): {}, {seconds} s", profile.name, profile.about, program.name());
                let made = match program {
                    Program::Ours => ours::run(profile, &links, seconds, &material),
                    Program::Chromium => browser::run(profile, &links, seconds, &material),
                };
                match made {
                    Ok(made) => {
                        let figures = measures::figures(&made, profile, &links);
                        outcome.runs.entry(program).or_default().push((made, figures));
                    }
                    Err(error) => println!("{}, {}: failed: {error:#}", profile.name, program.name()),
                }
            }
        }
        println!("\n{}", report::table(std::slice::from_ref(&outcome)));
        outcomes.push(outcome);
        // Anew after each profile: whoever stops the bench keeps what was measured.
        report::write(&outcomes, "net")?;
    }
    println!("\n{}", report::table(&outcomes));
    println!("Figures and charts: {}", report::folder()?.display());
    Ok(())
}

fn without_networks(profiles: &[&'static Profile], seconds: Option<u64>) -> anyhow::Result<()> {
    println!(
        "Calls over emulated networks need Linux, root and /dev/net/tun. Instead rate control and sound are run over the \
         same links in one process; codecs, sockets and Chromium are missing from that."
    );
    let outcomes = in_process::measure(profiles, seconds)?;
    report::write(&outcomes, "net-in-process")?;
    let scenarios = in_process::scenarios();
    println!("\n{}", report::table(&outcomes));
    println!("Figures and charts: {}", report::folder()?.display());
    scenarios
}

fn programs(options: &Options) -> Vec<Program> {
    if options.no_chromium {
        return vec![Program::Ours];
    }
    if ahoy_testkit::webdriver::chromedriver().is_none() {
        println!("chromedriver is not there; Chromium's side is left out.");
        return vec![Program::Ours];
    }
    vec![Program::Ours, Program::Chromium]
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Profile>> {
    let find = |name: &String| {
        let known = || ALL.iter().map(|profile| profile.name).collect::<Vec<_>>().join(", ");
        ALL.iter()
            .find(|profile| profile.name == name)
            .ok_or_else(|| anyhow::anyhow!("There is no link \"{name}\". Choose from: {}", known()))
    };
    if names.is_empty() { Ok(ALL.iter().collect()) } else { names.iter().map(find).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_link_is_refused_with_the_known_ones() {
        let error = chosen(&["lan".to_owned(), "moon".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("moon") && error.contains("kbps300"), "{error}");
        assert_eq!(chosen(&[]).unwrap().len(), ALL.len());
    }
}
