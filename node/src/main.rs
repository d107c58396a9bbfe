//! The command `rocoin`.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use rocoin_node::cli;

/// Answers neural-network requests on a fleet of small, unreliable devices
#[derive(Debug, Parser)]
#[command(name = "rocoin", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(cli::demo::DemoArgs),
    Node(Box<cli::node::NodeArgs>),
    Fleet(cli::fleet::FleetArgs),
    Deploy(cli::deploy::DeployArgs),
    Infer(cli::infer::InferArgs),
    Status(cli::status::StatusArgs),
    Top(cli::top::TopArgs),
    Doctor(Box<cli::doctor::DoctorArgs>),
    Plan(cli::plan::PlanArgs),
    Distill(Box<cli::distill::DistillArgs>),
    Eval(cli::eval::EvalArgs),
    Quantize(cli::quantize::QuantizeArgs),
    Sim(cli::sim::SimArgs),
    #[cfg(all(feature = "lab", target_os = "linux"))]
    Lab(cli::lab::LabArgs),
    Completions(cli::completions::CompletionsArgs),
    Man(cli::man::ManArgs),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse().command {
        Command::Demo(args) => cli::demo::run(&args),
        Command::Node(args) => cli::node::run(*args).map(done),
        Command::Fleet(args) => cli::fleet::run(&args).map(done),
        Command::Deploy(args) => cli::deploy::run(&args).map(done),
        Command::Infer(args) => cli::infer::run(&args).map(done),
        Command::Status(args) => cli::status::run(&args).map(done),
        Command::Top(args) => cli::top::run(&args).map(done),
        Command::Doctor(args) => cli::doctor::run(*args),
        Command::Plan(args) => cli::plan::run(&args),
        Command::Eval(args) => cli::eval::run(&args),
        Command::Sim(args) => cli::sim::run(&args),
        #[cfg(all(feature = "lab", target_os = "linux"))]
        Command::Lab(args) => cli::lab::run(&args),
        Command::Distill(args) => cli::distill::run(*args).map(done),
        Command::Quantize(args) => cli::quantize::run(args).map(done),
        Command::Completions(args) => cli::completions::run(&args, Cli::command()).map(done),
        Command::Man(args) => cli::man::run(&args, Cli::command()).map(done),
    };
    result.unwrap_or_else(|error| cli::failed(&error))
}
