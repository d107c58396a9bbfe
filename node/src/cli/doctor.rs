//! `rocoin doctor`: why do two nodes not meet, and is this device fit.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use libp2p::Multiaddr;

use super::text::{print, print_json};
use crate::config::{HTTP_DEFAULT, Settings, default_state_dir};
use crate::doctor::{Aim, Area, Examination, Finding, Report, Verdict, examine};
use crate::files::read_secret;

/// Columns of a line at most, where words allow it.
const WIDTH: usize = 110;

/// Says why two nodes do not meet, whether this device is fit, and what mends what is wrong
///
/// Looks at interfaces, multicast, ports, firewalls, the clock, memory, disk, CPU, fleet key and state folder, and at the way to the
/// nodes named with --against. It changes nothing and joins nothing, and can be used beside a node that runs. Give it the settings
/// that the node has, by flags, environment or --config. It takes 10 s at most.
///
/// The exit code is 0 if nothing is wrong, 1 if something is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Look at the way to this node: HOST:PORT, /ip4/ADDRESS/tcp/PORT, or http://HOST:PORT for its HTTP interface; may be given more
    /// than once [default: the nodes to join]
    #[arg(long, env = "ROCOIN_PEERS", value_name = "ADDRESS", value_delimiter = ',')]
    against: Vec<Aim>,
    /// The node's TOML file with settings
    #[arg(long, env = "ROCOIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's state folder [default: $XDG_STATE_HOME/rocoin or ~/.local/state/rocoin]
    #[arg(long, env = "ROCOIN_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// File with the fleet's key
    #[arg(long, env = "ROCOIN_FLEET_KEY_FILE", value_name = "FILE")]
    fleet_key_file: Option<PathBuf>,
    /// The node is to run without a fleet key
    #[arg(long, env = "ROCOIN_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    open: Option<bool>,
    /// Where the node is to listen [default: every interface, the port that it kept]
    #[arg(long, env = "ROCOIN_LISTEN", value_name = "MULTIADDR", value_delimiter = ',')]
    listen: Option<Vec<Multiaddr>>,
    /// The node is to use no multicast
    #[arg(long, env = "ROCOIN_NO_MDNS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    no_mdns: Option<bool>,
    /// The HTTP interface of the node that runs here [default: 127.0.0.1:8470]
    #[arg(long, env = "ROCOIN_HTTP", value_name = "HOST:PORT")]
    http: Option<std::net::SocketAddr>,
    /// File with the token that HTTP interfaces ask for
    #[arg(long, env = "ROCOIN_HTTP_TOKEN_FILE", value_name = "FILE")]
    http_token_file: Option<PathBuf>,
    /// Print JSON (schema rocoin.doctor/1)
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  rocoin doctor --fleet-key-file fleet.key
  rocoin doctor --fleet-key-file fleet.key --against 192.168.1.7:4470
  rocoin doctor --against http://192.168.1.7:8470 --http-token-file token";

/// Looks, and prints what was found. The exit code says whether something is wrong.
///
/// # Errors
/// If settings are wrong, or nothing can be printed.
pub fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let examination = examination(args)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let report = runtime.block_on(examine(examination));
    // A name server that does not answer must not hold up the end.
    runtime.shutdown_background();
    if json {
        print_json(&serde_json::to_value(&report)?)?
    } else {
        print(&page(&report))?
    }
    Ok(if report.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examination(args: DoctorArgs) -> anyhow::Result<Examination> {
    let file = args.config.as_deref().map(Settings::load).transpose()?.unwrap_or_default();
    let given = Settings {
        state_dir: args.state_dir,
        fleet_key_file: args.fleet_key_file,
        open: args.open,
        listen: args.listen,
        no_mdns: args.no_mdns,
        http: args.http,
        http_token_file: args.http_token_file,
        ..Settings::default()
    };
    let settings = given.over(file);
    let token = settings.http_token_file.as_deref().map(read_secret).transpose()?;
    let joined = settings.peers.unwrap_or_default();
    let aims = if args.against.is_empty() {
        // An address that nobody can be met at is the node's to refuse.
        joined.iter().filter_map(|peer| peer.to_string().parse().ok()).collect()
    } else {
        args.against
    };
    Ok(Examination {
        state_dir: settings.state_dir.map_or_else(default_state_dir, Ok)?,
        fleet_key_file: settings.fleet_key_file,
        open: settings.open.unwrap_or(false),
        listen: settings.listen.unwrap_or_default(),
        mdns: !settings.no_mdns.unwrap_or(false),
        http: settings.http.unwrap_or(HTTP_DEFAULT).to_string(),
        http_token: token.map(|text| text.trim().to_owned()),
        aims,
    })
}

fn page(report: &Report) -> String {
    let mut page = String::new();
    let mut area: Option<Area> = None;
    for finding in &report.findings {
        if area.replace(finding.area) != Some(finding.area) {
            if !page.is_empty() {
                page.push('\n');
            }
            page += finding.area.heading();
            page.push('\n');
        }
        page += &entry(finding);
    }
    let count = |verdict| report.findings.iter().filter(|f| f.verdict == verdict).count();
    page += &match (count(Verdict::Wrong), count(Verdict::Notice)) {
        (0, 0) => "\nAll is well.\n".to_owned(),
        (0, notices) => format!("\nNothing is wrong; {notices} to know of (!).\n"),
        (wrong, _) => format!("\n{wrong} wrong (✗); what mends it is below each.\n"),
    };
    page
}

fn entry(finding: &Finding) -> String {
    let sign = match finding.verdict {
        Verdict::Well => "✓",
        Verdict::Notice => "!",
        Verdict::Wrong => "✗",
    };
    let mut entry = wrapped(&format!("  {sign} "), "    ", &finding.what);
    if let Some(why) = &finding.why {
        entry += &wrapped("      ", "      ", why);
    }
    for remedy in &finding.remedies {
        // One line, so that it can be copied.
        entry += &format!("      → {remedy}\n");
    }
    entry
}

/// The text in lines of at most [`WIDTH`] columns, the first after `first`, the others after `rest`.
fn wrapped(first: &str, rest: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut begun = false;
    for word in text.split_whitespace() {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines += &line;
            lines.push('\n');
            line = rest.to_owned();
            begun = false;
        }
        if begun {
            line.push(' ');
        }
        line += word;
        begun = true;
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words_and_stand_below_each_other() {
        let text = wrapped("  ✗ ", "    ", &"word ".repeat(60));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(
            text.starts_with("  ✗ word") && text.lines().skip(1).all(|line| line.starts_with("    word")),
            "{text}"
        );
        assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 60);
    }

    #[test]
    fn settings_come_from_flags_then_from_the_file() {
        use clap::Parser as _;
        #[derive(Debug, clap::Parser)]
        struct Cli {
            #[command(flatten)]
            doctor: DoctorArgs,
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rocoin.toml");
        std::fs::write(&path, "state_dir = '/a'\nopen = true\npeers = ['/ip4/10.0.0.7/tcp/4470']\nno_mdns = true\n")
            .unwrap();
        let config = path.to_str().unwrap();
        let cli = Cli::parse_from(["doctor", "--config", config, "--state-dir", "/b", "--no-mdns=false"]);
        let examination = examination(cli.doctor).unwrap();
        assert_eq!(examination.state_dir, std::path::Path::new("/b"));
        assert!(examination.open && examination.mdns);
        assert!(matches!(&examination.aims[..], [Aim::Mesh { port: 4470, .. }]));
    }
}
